//go:build integration

package e2e

import (
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
	"github.com/envision/resiliency/test/stack/slackfake"
)

const handler = "dlq-handler"

// typeJobEvent is the full name of JobEvent, as letters show it.
const typeJobEvent = "envision.resiliency.v1.JobEvent"

// startHandler starts dlq-handler with a public API that does not limit tests.
func (s *system) startHandler(env ...string) *stack.Process {
	s.t.Helper()
	spec := stack.DLQHandler()
	spec.Binary = binary(handler)
	spec.Env = append(append(spec.Env, "HTTP_RATE=1000", "HTTP_BURST=1000"), env...)
	return s.start(spec)
}

// send publishes one message as it is.
func (s *system) send(topic string, data []byte, attributes map[string]string) {
	s.t.Helper()
	p := s.pubsub.Publisher(topic)
	defer p.Stop()
	if _, err := p.Publish(s.t.Context(), &pubsub.Message{Data: data, Attributes: attributes}).Get(s.t.Context()); err != nil {
		s.t.Fatalf("publish to %s: %v", topic, err)
	}
}

// fact is an event with an id as publishers make it: by the fact itself.
func fact(id string, edits ...func(*resiliencyv1.JobEvent)) *resiliencyv1.JobEvent {
	e := event(id, edits...)
	e.EventId = job.EventID("e2e", id, e.GetStatusObserved().GetState().String())
	return e
}

// succeeded makes of an event the end of its job.
func succeeded(e *resiliencyv1.JobEvent) {
	e.GetStatusObserved().State = resiliencyv1.JobState_JOB_STATE_SUCCEEDED
	e.GetStatusObserved().Evidence = resiliencyv1.Evidence_EVIDENCE_STATED
}

// logEntry is an event as the log witness prints it and the sink carries it.
func logEntry(t *testing.T, e *resiliencyv1.JobEvent) []byte {
	t.Helper()
	line, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	c := witnessContainer()
	entry, err := json.Marshal(map[string]any{
		"logName": "projects/p/logs/stdout", "insertId": "i-" + e.GetEventId(), "timestamp": logsink.Time{Time: time.Now()},
		"resource": logsink.Resource{Type: logsink.ResourceContainer, Labels: map[string]string{
			"namespace_name": c.Namespace, "pod_name": c.Pod, "container_name": c.Name,
		}},
		"jsonPayload": map[string]any{"message": "witnessed", "job_event": json.RawMessage(line)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// death are the attributes of a letter that messaging has moved.
func death(subscription, category, reason string, more ...string) map[string]string {
	attributes := map[string]string{
		"dead_letter_subscription": subscription, "dead_letter_category": category, "dead_letter_reason": reason,
		"dead_letter_attempts": "5", "type": typeJobEvent,
	}
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i]] = more[i+1]
	}
	return attributes
}

// die puts an event among the dead letters of status-updater, as messaging does.
func (s *system) die(e *resiliencyv1.JobEvent, category, reason string, more ...string) {
	s.t.Helper()
	s.send(topology.TopicDeadLetters, wire(s.t, e), death(topology.SubscriptionJobEventsStatusUpdater, category, reason, more...))
}

// countOf reads the count out of a message's text.
var countOf = regexp.MustCompile(`Count: (\d+)`)

// told is one message in Slack with what it counts.
type told struct {
	slackfake.Message

	count int
}

// inSlack are the messages of a channel of which each stands for a kind of
// failure; replies in threads are left out.
func inSlack(t *testing.T, slack *slackfake.Server, channel string) []told {
	t.Helper()
	var list []told
	for _, m := range slack.Messages(channel) {
		if m.ThreadTimestamp != "" {
			continue
		}
		found := countOf.FindStringSubmatch(m.Text)
		if found == nil {
			t.Fatalf("a message in Slack counts nothing: %q", m.Text)
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, told{m, n})
	}
	return list
}

// awaitSlack waits until Slack counts so many letters in all, and returns the
// messages; how many those may be is for the caller to say.
func (s *system) awaitSlack(slack *slackfake.Server, channel string, letters int) []told {
	s.t.Helper()
	var list []told
	s.eventually("Slack to tell of "+strconv.Itoa(letters)+" letters", func() (bool, string) {
		list = inSlack(s.t, slack, channel)
		sum := 0
		for _, m := range list {
			sum += m.count
		}
		return sum >= letters, strconv.Itoa(sum) + " in " + strconv.Itoa(len(list)) + " messages"
	})
	return list
}

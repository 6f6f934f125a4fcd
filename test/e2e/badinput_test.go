//go:build integration

package e2e

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// event is a valid message about a job; edits break it.
func event(id string, edits ...func(*resiliencyv1.JobEvent)) *resiliencyv1.JobEvent {
	e := &resiliencyv1.JobEvent{
		EventId: "e-" + id, OccurredAt: timestamppb.New(time.Now().Add(-time.Minute)), JobId: id, Attempt: 1,
		Stage:  &resiliencyv1.Stage{Name: "backend", Ordinal: 10},
		Source: resiliencyv1.Source_SOURCE_SDK,
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: resiliencyv1.JobState_JOB_STATE_RUNNING,
		}},
	}
	for _, edit := range edits {
		edit(e)
	}
	return e
}

func wire(t *testing.T, e *resiliencyv1.JobEvent) []byte {
	t.Helper()
	b, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publish sends raw bytes to job-events as a JobEvent.
func (s *system) publish(name string, data []byte) {
	s.t.Helper()
	p := s.pubsub.Publisher(topology.TopicJobEvents)
	defer p.Stop()
	_, err := p.Publish(s.t.Context(), &pubsub.Message{Data: data, Attributes: map[string]string{
		"type": "envision.resiliency.v1.JobEvent", "event_id": name, "job_id": name,
	}}).Get(s.t.Context())
	if err != nil {
		s.t.Fatalf("publish %s: %v", name, err)
	}
}

// deadLetters takes n messages from the dead letters' own subscription.
func (s *system) deadLetters(n int) map[string]*pubsub.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	letters := map[string]*pubsub.Message{}
	var mu sync.Mutex
	err := s.pubsub.Subscriber(topology.SubscriptionDeadLettersDLQHandler).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		letters[m.Attributes["event_id"]] = m
		if len(letters) >= n {
			cancel()
		}
	})
	if err != nil {
		s.t.Fatalf("receive dead letters: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(letters) < n {
		s.t.Fatalf("%d dead letters came, want %d", len(letters), n)
	}
	return letters
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "badmsg", updater)
	type e = resiliencyv1.JobEvent
	dead := map[string][]byte{
		"garbage":    []byte("\xff\xff not protobuf"),
		"empty":      nil,
		"path":       wire(t, event("path", func(e *e) { e.JobId = "../jobs/other" })),
		"attempt":    wire(t, event("attempt", func(e *e) { e.Attempt = 1000 })),
		"future":     wire(t, event("future", func(e *e) { e.OccurredAt = timestamppb.New(time.Now().Add(time.Hour)) })),
		"timeless":   wire(t, event("timeless", func(e *e) { e.OccurredAt = nil })),
		"enum":       wire(t, event("enum", func(e *e) { e.GetStatusObserved().State = 99 })),
		"noevidence": wire(t, event("noevidence", func(e *e) { e.GetStatusObserved().State = resiliencyv1.JobState_JOB_STATE_FAILED })),
	}
	for name, data := range dead {
		s.publish(name, data)
	}
	// A kind of event, and a field, that only a later release knows.
	later := protowire.AppendTag(wire(t, event("later", func(e *e) { e.Event = nil })), 29, protowire.BytesType)
	s.publish("later", protowire.AppendBytes(later, []byte{8, 1}))
	field := protowire.AppendTag(wire(t, event("newfield")), 500, protowire.BytesType)
	s.publish("newfield", protowire.AppendBytes(field, []byte("new")))
	// What comes behind all of it is not held up.
	s.publish("good", wire(t, event("good")))
	s.awaitState("good", "RUNNING")
	s.awaitState("newfield", "RUNNING")

	for name, letter := range s.deadLetters(len(dead)) {
		want, expected := dead[name]
		if !expected {
			t.Errorf("%s is among the dead letters", name)
			continue
		}
		if string(letter.Data) != string(want) {
			t.Errorf("dead letter %s has other bytes than the message", name)
		}
		attributes := strings.Join(attributeList(letter), "\n")
		for _, part := range []string{topology.SubscriptionJobEventsStatusUpdater, "permanent"} {
			if !strings.Contains(attributes, part) {
				t.Errorf("dead letter %s does not say %q: %s", name, part, attributes)
			}
		}
	}
	if n := s.metric(updater, "status_updater_observations_total", map[string]string{"outcome": "unknown"}); n != 1 {
		t.Errorf("%g events of an unknown kind were counted, want 1", n)
	}
	// The unknown kind is an unknown field too.
	if n := s.metric(updater, "resiliency_messages_unknown_fields_total", nil); n != 2 {
		t.Errorf("%g unknown fields were counted, want 2", n)
	}
	for _, name := range []string{"later", "enum", "noevidence", "future"} {
		if doc := s.document(name); doc != nil {
			t.Errorf("job %s has a record: %v", name, doc)
		}
	}
}

func attributeList(m *pubsub.Message) []string {
	list := make([]string, 0, len(m.Attributes))
	for k, v := range m.Attributes {
		list = append(list, k+"="+v)
	}
	return list
}

func TestBadJobs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "badjobs", updater, streamer)
	s.create(stack.JobSpec{Name: "bad-attempt", Outcome: stack.OutcomeSucceed,
		Annotations: map[string]string{stack.AnnotationAttempt: "many"}})
	s.create(stack.JobSpec{Name: "attempt-too-high", Outcome: stack.OutcomeSucceed, Attempt: 101})
	s.create(stack.JobSpec{Name: "empty-id", Outcome: stack.OutcomeSucceed, JobID: "will-be-empty",
		Labels: map[string]string{stack.LabelJobID: ""}})
	s.create(stack.JobSpec{Name: "good", Outcome: stack.OutcomeSucceed})
	s.awaitState("good", drive.Succeeded)
	s.eventually("the bad Jobs to be counted", func() (bool, string) {
		n := s.metric(streamer, "event_streamer_jobs_ignored_total", nil)
		return n == 3, formatFloat(n)
	})
	for _, id := range []string{"bad-attempt", "attempt-too-high", "will-be-empty"} {
		if doc := s.document(id); doc != nil {
			t.Errorf("job %s has a record: %v", id, doc)
		}
	}
}

func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env, args []string
		says      []string
	}{
		updater: {
			env:  []string{"LOG_LEVEL=loud", "MAX_OUTSTANDING=many", "SHUTDOWN_BUDGET=soon"},
			args: []string{"--no-such-flag"},
			says: []string{"GOOGLE_CLOUD_PROJECT", "LOG_LEVEL", "MAX_OUTSTANDING", "SHUTDOWN_BUDGET", "no-such-flag"},
		},
		streamer: {
			env:  []string{"NAMESPACES=a=b,=c", "SHUTDOWN_BUDGET=soon"},
			args: []string{"--no-such-flag"},
			says: []string{"GOOGLE_CLOUD_PROJECT", "CLUSTER", "NAMESPACES", "SHUTDOWN_BUDGET", "no-such-flag"},
		},
	}
	for service, c := range cases {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), binary(service), c.args...)
			cmd.Env = c.env // nothing else: no project, no cluster
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			for _, s := range c.says {
				flag := "--" + strings.ToLower(strings.ReplaceAll(s, "_", "-"))
				if !strings.Contains(string(out), s) && !strings.Contains(string(out), flag) {
					t.Errorf("nothing is said of %s", s)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

// script is what must never reach a browser as it is.
const script = `<script>alert("x")</script>`

// awaitReason waits for the one letter that died of a reason.
func (s *system) awaitReason(reason string) letter {
	s.t.Helper()
	var id string
	s.eventually("letter that died of "+reason, func() (bool, string) {
		for _, l := range s.listed(url.Values{"state": {"ANY"}}) {
			if l.Reason == reason && finished(&l) {
				id = l.ID
			}
		}
		return id != "", "none"
	})
	return s.open(id)
}

// refused expects that a letter cannot be replayed and stays open, and returns why.
func (s *system) refused(l *letter) string {
	s.t.Helper()
	a := s.must(http.MethodPost, "/api/letters/"+l.ID+"/replay", nil, http.StatusConflict, nil)
	if code := a.code(s.t); code != "not_sent" {
		s.t.Errorf("a replay that cannot be is refused with %s", code)
	}
	if now := s.open(l.ID); now.State != "OPEN" {
		s.t.Errorf("a letter that could not be sent is %s", now.State)
	}
	var r refusal
	if err := json.Unmarshal(a.body, &r); err != nil {
		s.t.Fatal(err)
	}
	return r.Error.Message
}

// Whatever comes as a dead letter is kept, shown and answered in plain words;
// nothing in it is believed further than it can be, and nothing is executed.
func TestBadLetters(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "badletters", updater)
	s.startHandler()
	s.emptyLetter()
	s.largeLetter()
	s.forgedLetters()
	s.scriptedLetter()
	s.homelessLetter()
}

func (s *system) emptyLetter() {
	s.t.Helper()
	s.send(topology.TopicDeadLetters, nil, map[string]string{
		"dead_letter_subscription": topology.SubscriptionJobEventsStatusUpdater, "dead_letter_reason": "it is empty",
		"dead_letter_category": "permanent",
	})
	l := s.awaitReason("it is empty")
	if l.PayloadSize != 0 || l.Detail.Decoded != "(empty)" || l.Cleanup.Action != "kept" {
		s.t.Errorf("letter of an empty message: %+v", l)
	}
	if why := s.refused(&l); !strings.Contains(why, "empty") {
		s.t.Errorf("the refusal does not say why: %s", why)
	}
}

// A payload that Firestore cannot hold goes to the bucket and comes back whole.
func (s *system) largeLetter() {
	s.t.Helper()
	payload := bytes.Repeat([]byte("\xff0123456"), 9_500_000/8)
	s.send(topology.TopicJobEvents, payload, map[string]string{"type": typeJobEvent, "job_id": "large"})
	l := s.awaitLetter("large", "to be cleaned up", finished)
	if want := "gs://" + stack.LettersBucket + "/"; !strings.HasPrefix(l.PayloadURI, want) || l.PayloadSize != len(payload) {
		s.t.Fatalf("its payload of %d bytes is at %q, want %d under %s", l.PayloadSize, l.PayloadURI, len(payload), want)
	}
	a := s.must(http.MethodGet, "/api/letters/"+l.ID+"/payload", nil, http.StatusOK, nil)
	if !bytes.Equal(a.body, payload) {
		s.t.Errorf("the payload is given back as %d other bytes", len(a.body))
	}
	s.must(http.MethodPost, "/api/letters/"+l.ID+"/replay", nil, http.StatusOK, nil)
	again := s.awaitLetter("large", "to have died again", func(l *letter) bool { return finished(l) && l.Episode == 2 })
	if again.PayloadURI != l.PayloadURI || again.ID != l.ID {
		s.t.Errorf("the replayed message is another: %s at %s", again.ID, again.PayloadURI)
	}
}

// Attributes that say where a message died can be set by any publisher.
func (s *system) forgedLetters() {
	s.t.Helper()
	forged := map[string]string{
		"CloudPubSubDeadLetterSourceSubscription":        topology.SubscriptionJobCommandsProduct,
		"CloudPubSubDeadLetterSourceSubscriptionProject": s.ID,
		"CloudPubSubDeadLetterSourceDeliveryCount":       "99999999999999999999",
		"CloudPubSubDeadLetterSourceTopicPublishTime":    "tomorrow",
		"type": typeJobEvent, "job_id": "forged",
	}
	s.send(topology.TopicJobEvents, []byte("\xffforged"), forged)
	l := s.awaitLetter("forged", "to be cleaned up", finished)
	if l.Subscription != topology.SubscriptionJobEventsStatusUpdater || l.Category != "permanent" {
		s.t.Errorf("forged attributes are believed: %s, %s", l.Subscription, l.Category)
	}
	// Right among the dead letters: of a subscription that is none of ours, the end
	// of a job that goes on.
	s.publish("goes-on", wire(s.t, fact("goes-on")))
	s.awaitState("goes-on", "RUNNING")
	s.send(topology.TopicDeadLetters, wire(s.t, fact("goes-on", succeeded)), map[string]string{
		"CloudPubSubDeadLetterSourceSubscription":         "projects/elsewhere/subscriptions/nobody's",
		"dead_letter_subscription":                        topology.SubscriptionJobEventsStatusUpdater,
		"dead_letter_category":                            "permanent",
		"CloudPubSubDeadLetterSourceDeliveryErrorMessage": "died elsewhere",
	})
	l = s.awaitReason("died elsewhere")
	if l.Subscription != "unknown" || l.Cleanup.Action != "kept" || l.Attempts != 0 {
		s.t.Errorf("letter of an unknown subscription: %+v", l)
	}
	if state := s.document("goes-on")["state"]; state != "RUNNING" {
		s.t.Errorf("a forged letter has ended a job: %v", state)
	}
	s.refused(&l)
}

func (s *system) scriptedLetter() {
	s.t.Helper()
	e := fact("scripted", func(e *resiliencyv1.JobEvent) {
		e.JobId, e.CorrelationId, e.Reporter, e.EventId = script, script, script, script
		e.Description = &resiliencyv1.JobDescription{Owner: script, Tenant: script}
	})
	attributes := death(topology.SubscriptionJobEventsStatusUpdater, script, "boom "+script+" &<b>",
		script, script, "correlation_id", script, "job_id", script, "event_id", script, "dead_letter_dependency", script,
		"dead_letter_attempts", script)
	s.send(topology.TopicDeadLetters, wire(s.t, e), attributes)
	l := s.awaitReason("boom " + script + " &<b>")
	if l.JobID != "" || l.Category != "unknown" || l.Dependency != "" || l.Attempts != 0 {
		s.t.Errorf("job %q, category %q, dependency %q, %d attempts were believed", l.JobID, l.Category, l.Dependency, l.Attempts)
	}
	for _, path := range []string{"/letters?state=ANY", "/letters/" + l.ID, "/letters?job_id=" + url.QueryEscape(script),
		"/replays/new?fingerprint=" + l.Fingerprint, "/audit?who=" + url.QueryEscape(script)} {
		a, err := s.ask(http.MethodGet, path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(a.body, []byte("<script>alert")) || bytes.Contains(a.body, []byte("<b>")) {
			s.t.Errorf("%s (%d) shows a script as it is", path, a.status)
		}
	}
	s.eventually("Slack to tell of it", func() (bool, string) {
		texts := ""
		for _, m := range shared.Slack.Messages(s.SlackChannel()) {
			texts += m.Text + m.Blocks
		}
		if strings.Contains(texts, script) {
			s.t.Fatalf("Slack is given markup of others: %s", texts)
		}
		return strings.Contains(texts, "script"), texts
	})
}

// homelessLetter replays a letter whose topic no longer exists.
func (s *system) homelessLetter() {
	s.t.Helper()
	s.send(topology.TopicDeadLetters, []byte("\xffcommand"), map[string]string{
		"dead_letter_subscription": topology.SubscriptionJobCommandsProduct, "dead_letter_category": "permanent",
		"dead_letter_reason": "no such worker",
	})
	l := s.awaitReason("no such worker")
	topic := topology.TopicName(s.ID, topology.TopicJobCommands)
	if err := s.pubsub.TopicAdminClient.DeleteTopic(s.t.Context(), &pubsubpb.DeleteTopicRequest{Topic: topic}); err != nil {
		s.t.Fatal(err)
	}
	if why := s.refused(&l); !strings.Contains(why, topology.TopicJobCommands) || !strings.Contains(why, "does not exist") {
		s.t.Errorf("the refusal does not say why: %s", why)
	}
	if now := s.open(l.ID); !strings.Contains(now.LastError, "does not exist") {
		s.t.Errorf("the letter does not remember why: %q", now.LastError)
	}
}

package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// TestTopics holds the table to the contract, written out once more by hand:
// names are what other systems know us by.
func TestTopics(t *testing.T) {
	t.Parallel()
	type row struct {
		Message       string
		Subscriptions []string
	}
	want := map[string]row{
		"job-events":      {"envision.resiliency.v1.JobEvent", []string{"job-events-status-updater"}},
		"job-log-entries": {"", []string{"job-log-entries-status-updater"}},
		"job-phases":      {"envision.resiliency.v1.PhaseEvent", []string{"job-phases-phase-tracer"}},
		"job-updates":     {"envision.resiliency.v1.JobUpdate", []string{"job-updates-phase-tracer", "job-updates-product"}},
		"job-commands":    {"envision.resiliency.v1.JobCommand", []string{"job-commands-product"}},
		"dead-letters":    {"", []string{"dead-letters-dlq-handler"}},
	}
	got := map[string]row{}
	for _, topic := range topology.Topics() {
		r := row{Message: string(topic.Message)}
		for _, s := range topic.Subscriptions {
			if s.Topic != topic.ID || !strings.HasPrefix(s.ID, topic.ID+"-") {
				t.Errorf("subscription %+v stands under topic %s", s, topic.ID)
			}
			r.Subscriptions = append(r.Subscriptions, s.ID)
		}
		got[topic.ID] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTopicOf(t *testing.T) {
	t.Parallel()
	for _, topic := range topology.Topics() {
		if topic.Message == "" {
			continue
		}
		if got, ok := topology.TopicOf(topic.Message); !ok || got != topic.ID {
			t.Errorf("TopicOf(%s) = %q, %v", topic.Message, got, ok)
		}
	}
	for _, unknown := range []string{"", "acme.Other"} {
		if got, ok := topology.TopicOf(protoreflect.FullName(unknown)); ok {
			t.Errorf("TopicOf(%q) = %q, want none", unknown, got)
		}
	}
}

func TestSubscription_Filter(t *testing.T) {
	t.Parallel()
	s, ok := topology.Find(topology.SubscriptionJobEventsStatusUpdater)
	if !ok {
		t.Fatal("not in the table")
	}
	const want = `NOT attributes:replay_target OR attributes.replay_target = "job-events-status-updater"`
	if got := s.Filter(); got != want {
		t.Errorf("filter %s, want %s", got, want)
	}
	for _, topic := range topology.Topics() {
		for _, s := range topic.Subscriptions {
			if len(s.Filter()) > 256 {
				t.Errorf("filter of %s has %d bytes, Pub/Sub allows 256", s.ID, len(s.Filter()))
			}
			if s.DeadLetters() != (s.Filter() == "") {
				t.Errorf("%s: only the dead letters must go unfiltered", s.ID)
			}
		}
	}
	if s, ok := topology.Find("nobody"); ok {
		t.Errorf("found %+v", s)
	}
}

func TestProfile_Settings(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	want := map[topology.Profile]topology.Settings{
		topology.Production: {
			MinBackoff: 10 * time.Second, MaxBackoff: 10 * time.Minute, MaxDeliveryAttempts: 10,
			Retention: 7 * day, DeadLetterRetention: 31 * day, AckDeadline: 20 * time.Second,
		},
		topology.Local: {
			MinBackoff: time.Second, MaxBackoff: 2 * time.Second, MaxDeliveryAttempts: 5,
			Retention: 7 * day, DeadLetterRetention: 7 * day, AckDeadline: 20 * time.Second,
		},
	}
	for profile, settings := range want {
		got, ok := profile.Settings()
		if !ok {
			t.Errorf("%s has no settings", profile)
		}
		if diff := cmp.Diff(settings, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", profile, diff)
		}
	}
	if _, ok := topology.Profile("staging").Settings(); ok {
		t.Error("an unknown profile has settings")
	}
}

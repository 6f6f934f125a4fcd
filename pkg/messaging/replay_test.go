package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// TestSubscriber_ReplayTarget uses a subscription without a filter, as Google's
// emulator gives: the code alone has to tell.
func TestSubscriber_ReplayTarget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const unfiltered = "job-events-unfiltered"
	_, err := b.Client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name:               topology.SubscriptionName(b.ProjectID, unfiltered),
		Topic:              topology.TopicName(b.ProjectID, topology.TopicJobEvents),
		AckDeadlineSeconds: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	handled := make(chan string, 2)
	cfg := b.config()
	cfg.Subscription = unfiltered
	b.subscribe(t, cfg, func(_ context.Context, msg *resiliencyv1.JobEvent, _ messaging.Meta) error {
		handled <- msg.GetEventId()
		return nil
	})
	replay := func(id, target string) string {
		e, err := messaging.Encode(event(id))
		if err != nil {
			t.Fatal(err)
		}
		e.Attributes[topology.AttributeReplayTarget] = target
		return b.Put(t, e.Topic, e.Data, e.Attributes)
	}
	b.acked(t, replay("e-theirs", topology.SubscriptionJobPhasesPhaseTracer))
	b.acked(t, replay("e-ours", unfiltered))
	if got := receive(t, handled, "our replay"); got != "e-ours" {
		t.Errorf("handled %s, want only e-ours", got)
	}
	if theirs, ours := b.received(t, "not_for_us"), b.received(t, "acked"); theirs != 1 || ours != 1 {
		t.Errorf("not_for_us %d, acked %d, want one of each", theirs, ours)
	}
}

// TestNewRawSubscriber_DeadLetters: a letter that died of a replay still names
// the replay's target, and a letter that cannot be handled has nowhere to go.
func TestNewRawSubscriber_DeadLetters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	calls := make(chan messaging.RawMessage, 3)
	cfg := b.config()
	cfg.Subscription = topology.SubscriptionDeadLettersDLQHandler
	run(t, messaging.NewRawSubscriber(b.Client, b.publisher, cfg, func(_ context.Context, msg messaging.RawMessage) error {
		calls <- msg
		if len(calls) == 1 {
			return resilience.Permanent(errors.New("cannot be stored"))
		}
		return nil
	}, b.reg, b.logger()))
	id := b.Put(t, topology.TopicDeadLetters, []byte(`{"any":"form"}`), map[string]string{
		topology.AttributeReplayTarget: topology.SubscriptionJobEventsStatusUpdater,
		"type":                         "of.nobody",
	})
	b.acked(t, id)
	first := receive(t, calls, "the letter")
	if string(first.Data) != `{"any":"form"}` || first.Type != "of.nobody" || first.DeliveryAttempt != 0 {
		t.Errorf("letter %+v", first)
	}
	if b.Deliveries(id) != 2 || b.received(t, "nacked") != 1 || b.received(t, "acked") != 1 || b.received(t, "dead_lettered") != 0 {
		t.Errorf("%d deliveries, %d nacked, %d moved", b.Deliveries(id), b.received(t, "nacked"), b.received(t, "dead_lettered"))
	}
}

func TestNewRawSubscriber_PermanentIsMovedAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cfg := b.config()
	cfg.Subscription = topology.SubscriptionJobLogEntriesStatusUpdater
	run(t, messaging.NewRawSubscriber(b.Client, b.publisher, cfg, func(context.Context, messaging.RawMessage) error {
		return fmt.Errorf("log entry: %w", messaging.Undecodable(errors.New("no JSON")))
	}, b.reg, b.logger()))
	id := b.Put(t, topology.TopicJobLogEntries, []byte("{broken"), map[string]string{"logging.googleapis.com/timestamp": "now"})
	letter := b.letter(t)
	if string(letter.GetData()) != "{broken" || letter.GetAttributes()["dead_letter_reason"] != "log entry: no JSON" ||
		letter.GetAttributes()["dead_letter_category"] != "permanent" ||
		letter.GetAttributes()["dead_letter_subscription"] != topology.SubscriptionJobLogEntriesStatusUpdater {
		t.Errorf("letter %v", letter)
	}
	b.acked(t, id)
	if n := b.received(t, "undecodable"); n != 1 || messaging.Undecodable(nil) != nil {
		t.Errorf("%d counted as undecodable", n)
	}
}

func TestNewSubscriber_WithoutPublisherNacks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	run(t, messaging.NewSubscriber(b.Client, nil, b.config(),
		func(_ context.Context, _ *resiliencyv1.JobEvent, meta messaging.Meta) error {
			if meta.DeliveryAttempt == 1 {
				return resilience.Permanent(errors.New("bad"))
			}
			return nil
		}, b.reg, b.logger()))
	b.acked(t, b.put(t, event("e-1")))
	if n := b.received(t, "nacked"); n != 1 {
		t.Errorf("%d nacked", n)
	}
}

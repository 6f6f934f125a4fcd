package messaging_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// passing is a subscriber that passes phases on, of events "phase-…", and needs
// nothing for the others.
type passing struct {
	*bench
	subscriber *running
	breaker    *resilience.Breaker
	others     atomic.Int64
}

func newPassing(t *testing.T, maxOutstanding int) *passing {
	t.Helper()
	p := &passing{bench: newBench(t)}
	p.breaker = resilience.NewBreaker(topology.TopicJobPhases,
		resilience.BreakerConfig{Failures: 1, OpenFor: 10 * time.Millisecond}, p.reg, zerolog.Nop())
	cfg := p.config()
	cfg.MaxOutstanding = maxOutstanding
	cfg.InHand = resilience.Backoff{Initial: time.Millisecond, Attempts: 2}
	cfg.Gate = resilience.NewBreaker("firestore", resilience.BreakerConfig{}, nil, zerolog.Nop())
	p.subscriber = p.subscribe(t, cfg, func(ctx context.Context, e *resiliencyv1.JobEvent, _ messaging.Meta) error {
		if !strings.HasPrefix(e.GetEventId(), "phase-") {
			p.others.Add(1)
			return nil
		}
		return messaging.HeldBy(p.breaker, p.breaker.Do(ctx, func(ctx context.Context) error {
			return p.publisher.Publish(ctx, &resiliencyv1.PhaseEvent{EventId: e.GetEventId(), JobId: "j-1", Attempt: 1})
		}))
	})
	return p
}

func (p *passing) removeTopic(t *testing.T) {
	t.Helper()
	name := topology.TopicName(p.ProjectID, topology.TopicJobPhases)
	if err := p.Client.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: name}); err != nil {
		t.Fatal(err)
	}
}

func (p *passing) createTopic(t *testing.T) {
	t.Helper()
	name := topology.TopicName(p.ProjectID, topology.TopicJobPhases)
	if _, err := p.Client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: name}); err != nil {
		t.Fatal(err)
	}
}

func (p *passing) failures(t *testing.T) float64 {
	t.Helper()
	return p.value(t, "resiliency_messages_published_total", topology.TopicJobPhases, "failed")
}

// TestSubscriber_HeldMessagesWaitInHand: while the topic that some messages need
// is missing they cost no attempt, the others go on, and all arrive in the end.
func TestSubscriber_HeldMessagesWaitInHand(t *testing.T) {
	t.Parallel()
	const phases = 3
	p := newPassing(t, 2*phases)
	p.removeTopic(t)
	var ids []string
	for n := range phases {
		ids = append(ids, p.put(t, event("phase-"+strconv.Itoa(n))))
	}
	// Many more tries than a subscription gives a message attempts.
	eventually(t, "many tries", func() bool { return p.failures(t) >= 20 })
	p.acked(t, p.put(t, event("e-1")))
	if p.others.Load() != 1 {
		t.Errorf("%d other messages handled", p.others.Load())
	}
	p.createTopic(t)
	for _, id := range ids {
		p.acked(t, id)
		if n := p.Deliveries(id); n != 1 {
			t.Errorf("message %s was delivered %d times", id, n)
		}
	}
	published := 0
	for _, m := range p.Server.Messages() {
		if strings.HasSuffix(m.Topic, topology.TopicJobPhases) {
			published++
		}
		if strings.HasSuffix(m.Topic, topology.TopicDeadLetters) {
			t.Errorf("dead letter %v", m.Attributes)
		}
	}
	if published != phases || p.received(t, "nacked") != 0 {
		t.Errorf("%d phases published, %d nacked", published, p.received(t, "nacked"))
	}
}

// TestSubscriber_HeldMessagesLeaveRoom: what waits for a dependency that not all
// need must not take every place.
func TestSubscriber_HeldMessagesLeaveRoom(t *testing.T) {
	t.Parallel()
	p := newPassing(t, 4)
	p.removeTopic(t)
	for n := range 2 {
		p.put(t, event("phase-"+strconv.Itoa(n)))
	}
	eventually(t, "both places taken", func() bool { return p.subscriber.Seated() == 2 })
	third := p.put(t, event("phase-2"))
	eventually(t, "the third to be given back", func() bool { return p.Nacks(third) > 0 })
	p.acked(t, p.put(t, event("e-1")))
	p.createTopic(t)
	eventually(t, "both that waited", func() bool { return p.received(t, "acked") >= 3 })
}

package messaging_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// TestOutage_IsOverForWhoPublishesNoMore: after the failure that opened the
// breaker nobody publishes again, as after a leader has stood down. Breaker and
// publisher find out by themselves when the topic is back, and not before.
func TestOutage_IsOverForWhoPublishesNoMore(t *testing.T) {
	t.Parallel()
	lookUps := messagingtest.NewFault("GetTopic")
	b := newBareBench(t, lookUps)
	var asked atomic.Int64
	lookUps.Set(func(any) error { asked.Add(1); return nil })
	p := messaging.NewPublisher(b.Client, messaging.PublisherConfig{Timeout: time.Second, ProbeAfter: time.Millisecond}, nil, b.logger())
	breaker := resilience.NewBreaker(topology.TopicJobEvents, resilience.BreakerConfig{
		Failures: 1, OpenFor: 20 * time.Millisecond, ProbeAfter: time.Millisecond,
	}, b.reg, zerolog.Nop())
	breaker.ProbeInSilence(t.Context(), func(ctx context.Context) error { return p.Check(ctx, topology.TopicJobEvents) })

	err := breaker.Do(t.Context(), func(ctx context.Context) error { return p.Publish(ctx, event("e-1")) })
	if resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Fatalf("Publish to a missing topic = %v", err)
	}
	eventually(t, "some probes", func() bool { return asked.Load() >= 3 })
	if !breaker.Broken() || p.Ready(t.Context()) == nil {
		t.Error("taken to be well while the topic is missing")
	}
	b.Provision(t)
	eventually(t, "the breaker to close", func() bool { return b.value(t, "resiliency_breaker_state", "job-events") == 0 })
	eventually(t, "ready", func() bool { return p.Ready(t.Context()) == nil })
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(b.Server.Messages()); n != 0 {
		t.Errorf("%d messages were published to find out", n)
	}
}

// TestPublisher_ReadyAsksOnlyInSilence: while messages are published their answers
// count, for who may look a topic up may still not publish to it.
func TestPublisher_ReadyAsksOnlyInSilence(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, fault)
	fault.Set(func(any) error { return status.Error(codes.PermissionDenied, "no publisher") })
	for range 3 {
		if err := b.publisher.Publish(t.Context(), event("e-1")); resilience.CategoryOf(err) != resilience.CategoryDependency {
			t.Fatalf("Publish = %v", err)
		}
		if b.publisher.Ready(t.Context()) == nil {
			t.Error("ready right after a refusal, as the topic is there")
		}
	}
}

package messaging_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// lockedGate opens once.
type lockedGate struct {
	entered chan struct{}
	opened  chan struct{}
}

func (g *lockedGate) Broken() bool { return false }

func (g *lockedGate) Awaited() bool { return false }

func (g *lockedGate) Wait(ctx context.Context) error {
	g.entered <- struct{}{}
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSubscriber_GateStopsThePull: with the gate shut, as many messages as may
// be in hand are taken and no more; none is nacked; then all are handled.
func TestSubscriber_GateStopsThePull(t *testing.T) {
	t.Parallel()
	const inHand, all = 3, 12
	b := newBench(t)
	gate := &lockedGate{entered: make(chan struct{}, all), opened: make(chan struct{})}
	cfg := b.config()
	cfg.Gate, cfg.MaxOutstanding = gate, inHand
	var handled atomic.Int64
	b.subscribe(t, cfg, func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
		handled.Add(1)
		return nil
	})
	var ids []string
	for n := range all {
		ids = append(ids, b.put(t, event("e-"+strconv.Itoa(n))))
	}
	for range inHand {
		receive(t, gate.entered, "a message at the gate")
	}
	select {
	case <-gate.entered:
		t.Error("more messages in hand than allowed")
	case <-time.After(300 * time.Millisecond): // the absence of an event needs some time
	}
	if handled.Load() != 0 || b.received(t, "nacked") != 0 {
		t.Errorf("handled %d, nacked %d while the gate was shut", handled.Load(), b.received(t, "nacked"))
	}
	close(gate.opened)
	for _, id := range ids {
		b.acked(t, id)
		if n := b.Deliveries(id); n != 1 {
			t.Errorf("message %s was delivered %d times", id, n)
		}
	}
	if handled.Load() != all || b.received(t, "nacked") != 0 {
		t.Errorf("handled %d, nacked %d", handled.Load(), b.received(t, "nacked"))
	}
}

// TestSubscriber_BrokenDependencyBurnsNoAttempt: with a real breaker, an outage
// under load costs no message a second delivery.
func TestSubscriber_BrokenDependencyBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	breaker := resilience.NewBreaker("firestore",
		resilience.BreakerConfig{Failures: 3, OpenFor: 10 * time.Millisecond}, b.reg, zerolog.Nop())
	cfg := b.config()
	cfg.Gate, cfg.MaxOutstanding = breaker, 10
	cfg.InHand = resilience.Backoff{Initial: 5 * time.Millisecond, Max: 5 * time.Millisecond, Attempts: 5}
	var healthy atomic.Bool
	var calls atomic.Int64
	b.subscribe(t, cfg, func(ctx context.Context, _ *resiliencyv1.JobEvent, _ messaging.Meta) error {
		return breaker.Do(ctx, func(context.Context) error {
			calls.Add(1)
			if healthy.Load() {
				return nil
			}
			return status.Error(codes.Unavailable, "away")
		})
	})
	var ids []string
	for n := range 50 {
		ids = append(ids, b.put(t, event("e-"+strconv.Itoa(n))))
	}
	eventually(t, "the breaker to open and some probes to fail", func() bool { return breaker.Broken() && calls.Load() > 20 })
	healthy.Store(true)
	for _, id := range ids {
		b.acked(t, id)
		if n := b.Deliveries(id); n != 1 {
			t.Errorf("message %s was delivered %d times", id, n)
		}
	}
	if n := b.received(t, "nacked"); n != 0 {
		t.Errorf("%d nacked", n)
	}
}

// TestSubscriber_FaultOfOneMessageIsNotAnOutage: where the dependency works for
// others, a message that always meets a fault is nacked after a few tries.
func TestSubscriber_FaultOfOneMessageIsNotAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	breaker := resilience.NewBreaker("firestore", resilience.BreakerConfig{Failures: 100}, nil, zerolog.Nop())
	cfg := b.config()
	cfg.Gate = breaker
	cfg.InHand = resilience.Backoff{Initial: time.Millisecond, Attempts: 4}
	var mu sync.Mutex
	calls := map[int]int{}
	b.subscribe(t, cfg, func(ctx context.Context, _ *resiliencyv1.JobEvent, meta messaging.Meta) error {
		mu.Lock()
		defer mu.Unlock()
		calls[meta.DeliveryAttempt]++
		return breaker.Do(ctx, func(context.Context) error {
			if meta.DeliveryAttempt == 1 {
				return status.Error(codes.Internal, "this document")
			}
			return nil
		})
	})
	b.acked(t, b.put(t, event("e-1")))
	mu.Lock()
	defer mu.Unlock()
	if calls[1] != 4 || calls[2] != 1 || b.received(t, "nacked") != 1 {
		t.Errorf("calls per delivery %v, nacked %d", calls, b.received(t, "nacked"))
	}
	b.line(t, `"outcome":"nacked"`, `"category":"dependency"`, `"dependency":"firestore"`)
}

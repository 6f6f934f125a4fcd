package messaging_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestSubscriber_WorkInHandFinishes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	started, release := make(chan struct{}), make(chan struct{})
	s := b.subscribe(t, b.config(), func(ctx context.Context, _ *resiliencyv1.JobEvent, _ messaging.Meta) error {
		close(started)
		<-release
		return ctx.Err() // alive although Run's context has ended
	})
	id := b.put(t, event("e-1"))
	receive(t, started, "the handler")
	s.stop()
	select {
	case <-s.done:
		t.Fatal("Run returned with work in hand")
	default:
	}
	close(release)
	if err := receive(t, s.done, "Run"); err != nil {
		t.Errorf("Run = %v", err)
	}
	// Run returns after the last acks are sent, so nothing is left to wait for.
	if b.Acks(id) != 1 || b.received(t, "acked") != 1 {
		t.Errorf("%d acks", b.Acks(id))
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready after the end")
	}
}

func TestSubscriber_BudgetOverNacks(t *testing.T) {
	t.Parallel()
	handlers := map[string]func(ctx context.Context, forever <-chan struct{}) error{
		"obedient": func(ctx context.Context, _ <-chan struct{}) error { <-ctx.Done(); return ctx.Err() },
		"deaf":     func(_ context.Context, forever <-chan struct{}) error { <-forever; return nil },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			cfg := b.config()
			cfg.ShutdownBudget = 50 * time.Millisecond
			started, forever, returned := make(chan struct{}, 9), make(chan struct{}), make(chan struct{}, 9)
			s := b.subscribe(t, cfg, func(ctx context.Context, _ *resiliencyv1.JobEvent, _ messaging.Meta) error {
				defer func() { returned <- struct{}{} }()
				started <- struct{}{}
				return handler(ctx, forever)
			})
			id := b.put(t, event("e-1"))
			receive(t, started, "the handler")
			if err := s.end(t); err != nil {
				t.Errorf("Run = %v", err)
			}
			if b.Acks(id) != 0 || b.received(t, "nacked") != 1 || b.received(t, "acked") != 0 {
				t.Errorf("acks %d, nacked %d", b.Acks(id), b.received(t, "nacked"))
			}
			// Given back, and not only left to the end of its lease. (The fake
			// delivers it to the closing stream at once; a broker waits first.)
			if n := b.Nacks(id); n != 1 {
				t.Errorf("%d nacks at the server, want 1", n)
			}
			close(forever)
			receive(t, returned, "the handler to return")
		})
	}
}

// stuckGate never opens.
type stuckGate struct{ waiting chan struct{} }

func (g stuckGate) Broken() bool { return true }
func (stuckGate) Awaited() bool  { return true }

func (g stuckGate) Wait(ctx context.Context) error {
	g.waiting <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestSubscriber_WaitingMessagesAreGivenBackAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cfg := b.config()
	gate := stuckGate{make(chan struct{}, 9)}
	cfg.Gate = gate
	s := b.subscribe(t, cfg, func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
		return errors.New("must not be called")
	})
	id := b.put(t, event("e-1"))
	receive(t, gate.waiting, "the gate")
	if n := b.value(t, "resiliency_messages_waiting"); n != 1 {
		t.Errorf("%v waiting", n)
	}
	if err := s.end(t); err != nil { // long before the budget of 15 s
		t.Errorf("Run = %v", err)
	}
	if b.Acks(id) != 0 || b.received(t, "nacked") != 1 {
		t.Errorf("acks %d, nacked %d", b.Acks(id), b.received(t, "nacked"))
	}
}

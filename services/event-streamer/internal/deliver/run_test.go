package deliver

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// At the end nothing waits for its delay any more.
func TestQueue_flushesAtTheEnd(t *testing.T) {
	t.Parallel()
	ended := false
	s := &fakeSender{}
	s.outcome = func(string, int) error {
		if ended {
			return nil
		}
		return errBroken
	}
	bubble(t, Config{RetryMin: time.Hour, RetryMax: time.Hour}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a"))
		b.Gone("v", func(context.Context) ([]fact.Fact, error) { return facts("b"), nil })
		synctest.Wait()
		ended = true
		begun := time.Now()
		b.stop()
		if took := time.Since(begun); took > time.Second {
			t.Errorf("flush took %v", took)
		}
		// b failed once after its judgement and waits like a.
		same(t, "confirmed", []string{"a", "b"}, s.got())
	})
}

func TestQueue_flushKeepsToItsBudget(t *testing.T) {
	t.Parallel()
	s := &fakeSender{outcome: func(string, int) error { return errBroken }}
	bubble(t, Config{Flush: 5 * time.Second}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a"))
		synctest.Wait()
		begun := time.Now()
		b.stop()
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("flush took %v, want its budget of 5 s", took)
		}
		if b.Pending() != 1 {
			t.Errorf("%d facts pending, want the one that could not be sent", b.Pending())
		}
	})
}

// While Pub/Sub is down the workers wait; that is no work of theirs to end.
func TestQueue_endsWhileSenderWaits(t *testing.T) {
	t.Parallel()
	s := &fakeSender{wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	bubble(t, Config{Flush: time.Second}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a"))
		synctest.Wait()
		b.stop()
		if b.Pending() != 1 {
			t.Errorf("%d pending, want 1", b.Pending())
		}
	})
}

func TestQueue_outlivesAPanic(t *testing.T) {
	t.Parallel()
	s := &fakeSender{outcome: func(id string, try int) error {
		if id == "bad" && try < 3 {
			panic("out of range")
		}
		return nil
	}}
	bubble(t, Config{Workers: 1}, s, func(t *testing.T, b *bench) {
		b.Seen("bad", facts("bad"))
		b.Seen("good", facts("good"))
		b.Gone("odd", func(context.Context) ([]fact.Fact, error) { panic("nil map") })
		time.Sleep(2 * time.Second)
		same(t, "confirmed", []string{"bad", "good"}, s.got())
		if n := b.value(t, "event_streamer_delivery_panics_total"); n < 3 {
			t.Errorf("%v panics counted, want 3 at least", n)
		}
		b.Seen("odd", nil) // or the flush would ask the panicking judge to its end
	})
}

func TestQueue_Live(t *testing.T) {
	t.Parallel()
	// A worker that hangs: not in Wait for a dependency, but for good.
	var hang chan struct{}
	s := &fakeSender{wait: func(context.Context) error { <-hang; return nil }}
	bubble(t, Config{Workers: 1, Stall: time.Minute}, s, func(t *testing.T, b *bench) {
		hang = make(chan struct{}) // within the bubble, or its time would stand still
		time.Sleep(time.Hour)
		if err := b.Live(); err != nil {
			t.Errorf("quiet: %v", err)
		}
		b.Seen("u", facts("a"))
		time.Sleep(30 * time.Second)
		if err := b.Live(); err != nil {
			t.Errorf("within the limit: %v", err)
		}
		time.Sleep(time.Minute)
		if err := b.Live(); err == nil || !strings.Contains(err.Error(), "1 facts wait") {
			t.Errorf("stuck: %v", err)
		}
		close(hang)
		synctest.Wait()
		if err := b.Live(); err != nil {
			t.Errorf("after it went on: %v", err)
		}
	})
}

func TestQueue_Live_tryingInVainIsAlive(t *testing.T) {
	t.Parallel()
	s := &fakeSender{
		outcome: func(string, int) error { return resilience.Dependency("pubsub", errBroken) },
		wait: func(ctx context.Context) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	bubble(t, Config{Stall: time.Minute}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a"))
		for range 60 {
			time.Sleep(time.Minute)
			if err := b.Live(); err != nil {
				t.Fatalf("during an outage: %v", err)
			}
		}
	})
}

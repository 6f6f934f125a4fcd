package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

var errBroken = errors.New("broken")

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestQueue_saysEachFactOnce(t *testing.T) {
	t.Parallel()
	bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a"))
		b.Seen("u", facts("a", "b"))
		synctest.Wait()
		b.Seen("u", facts("a", "b", "c"))
		b.Also("u", facts("c", "d"))
		synctest.Wait()
		same(t, "confirmed", []string{"a", "b", "c", "d"}, b.sender.got())
		if n := b.Pending(); n != 0 {
			t.Errorf("%d facts pending, want none", n)
		}
		if n := b.value(t, "event_streamer_events_published_total"); n != 4 {
			t.Errorf("counted %v published, want 4", n)
		}
	})
}

// A Job edited to belong to another job says the same of another job.
func TestQueue_anotherJobIDIsAnotherFact(t *testing.T) {
	t.Parallel()
	a, b := facts("a")[0], facts("a")[0]
	if a.Key() != b.Key() {
		t.Fatal("one fact has two keys")
	}
	p := b.Message().ProtoReflect()
	p.Set(p.Descriptor().Fields().ByName("attempt"), p.NewField(p.Descriptor().Fields().ByName("attempt")))
	if a.Key() == b.Key() {
		t.Error("two attempts share a key")
	}
}

func TestQueue_keepsWhatFailed(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name string
		err  error
	}{
		{"dependency", resilience.Dependency("pubsub", errBroken)},
		{"retryable", errBroken},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSender{outcome: func(id string, try int) error {
				if id == "b" && try < 4 {
					return kind.err
				}
				return nil
			}}
			bubble(t, Config{}, s, func(t *testing.T, b *bench) {
				b.Seen("u", facts("a", "b", "c"))
				time.Sleep(time.Minute)
				same(t, "confirmed", []string{"a", "b", "c"}, s.got())
				if s.triesOf("a") != 1 || s.triesOf("b") != 4 || s.triesOf("c") != 1 {
					t.Errorf("tries %v, want only b again", s.tries)
				}
			})
		})
	}
}

// Delays grow, and a Job that fails for a reason of its own holds up no other.
func TestQueue_backsOff(t *testing.T) {
	t.Parallel()
	var at []time.Time
	s := &fakeSender{outcome: func(id string, _ int) error {
		if id != "bad" {
			return nil
		}
		at = append(at, time.Now())
		return errBroken
	}}
	bubble(t, Config{Workers: 1, RetryMin: time.Second, RetryMax: 4 * time.Second}, s, func(t *testing.T, b *bench) {
		b.Seen("bad", facts("bad"))
		b.Seen("good", facts("good"))
		time.Sleep(20 * time.Second)
		same(t, "confirmed", []string{"good"}, s.got())
		b.stop()
		for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			if got := at[i+1].Sub(at[i]); got != want {
				t.Errorf("delay %d was %v, want %v", i, got, want)
			}
		}
	})
}

func TestQueue_refusedForGoodLeaves(t *testing.T) {
	t.Parallel()
	s := &fakeSender{outcome: func(id string, _ int) error {
		if id == "bad" {
			return resilience.Permanent(errBroken)
		}
		return nil
	}}
	bubble(t, Config{}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("a", "bad", "z"))
		time.Sleep(time.Minute)
		same(t, "confirmed", []string{"a", "z"}, s.got())
		if b.Pending() != 0 || s.triesOf("bad") != 1 || b.value(t, "event_streamer_events_refused_total") != 1 {
			t.Errorf("pending %d, tried %d times", b.Pending(), s.triesOf("bad"))
		}
	})
}

func TestQueue_judgesADeletion(t *testing.T) {
	t.Parallel()
	bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
		b.Seen("u", facts("running"))
		asked := 0
		b.Gone("u", func(context.Context) ([]fact.Fact, error) {
			if asked++; asked < 3 {
				return nil, resilience.Dependency("kubernetes", errBroken)
			}
			return facts("running", "cancelled"), nil
		})
		time.Sleep(time.Minute)
		same(t, "confirmed", []string{"cancelled", "running"}, b.sender.got())
		if asked != 3 {
			t.Errorf("asked %d times, want 3", asked)
		}
		if n := b.value(t, "event_streamer_tracked_jobs"); n != 0 {
			t.Errorf("%v jobs remembered after the end, want none", n)
		}
	})
}

// While the API server hangs, deletions must leave workers to publish what is
// known already.
func TestQueue_judgingLeavesWorkers(t *testing.T) {
	t.Parallel()
	bubble(t, Config{Workers: 4}, &fakeSender{}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		asked := 0
		for i := range 8 {
			b.Gone(types.UID(fmt.Sprint("gone-", i)), func(context.Context) ([]fact.Fact, error) {
				asked++
				<-release
				return facts(fmt.Sprint("cancelled-", i)), nil
			})
		}
		synctest.Wait()
		if asked != 1 {
			t.Errorf("%d deletions are judged at once by 4 workers, want 1", asked)
		}
		b.Seen("alive", facts("running"))
		synctest.Wait()
		same(t, "confirmed while nothing answers", []string{"running"}, b.sender.got())
		close(release)
		time.Sleep(time.Minute)
		if got := b.sender.got(); len(got) != 9 {
			t.Errorf("confirmed in the end: %v, want every deletion judged", got)
		}
	})
}

func TestQueue_seenAgainIsNotGone(t *testing.T) {
	t.Parallel()
	bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.Gone("u", func(context.Context) ([]fact.Fact, error) {
			<-release
			return facts("cancelled"), nil
		})
		synctest.Wait()
		b.Seen("u", facts("running"))
		close(release)
		synctest.Wait()
		same(t, "confirmed", []string{"running"}, b.sender.got())
		if n := b.value(t, "event_streamer_tracked_jobs"); n != 1 {
			t.Errorf("%v jobs remembered, want the one that lives", n)
		}
	})
}

// The verdict of an earlier deletion must not stand for a later one.
func TestQueue_goneTwice(t *testing.T) {
	t.Parallel()
	bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.Gone("u", func(context.Context) ([]fact.Fact, error) {
			<-release
			return nil, nil // only the label was removed
		})
		synctest.Wait()
		b.Seen("u", nil)
		b.Gone("u", func(context.Context) ([]fact.Fact, error) { return facts("cancelled"), nil })
		close(release)
		synctest.Wait()
		same(t, "confirmed", []string{"cancelled"}, b.sender.got())
	})
}

// Whatever fails on the way, every fact arrives, and none again once it has.
func TestQueue_manyJobsManyFailures(t *testing.T) {
	t.Parallel()
	const jobs, each = 500, 7
	s := &fakeSender{outcome: func(string, int) error {
		switch rand.IntN(5) {
		case 0:
			return resilience.Dependency("pubsub", errBroken)
		case 1:
			return errBroken
		default:
			return nil
		}
	}}
	bubble(t, Config{Batch: 3, MaxPending: 200}, s, func(t *testing.T, b *bench) {
		var want []string
		for j := range jobs {
			uid := types.UID(fmt.Sprint(j))
			for i := range each {
				id := fmt.Sprintf("%04d-%d", j, i)
				want = append(want, id)
				b.Seen(uid, facts(id, fmt.Sprintf("%04d-0", j)))
			}
			b.Gone(uid, nil)
		}
		time.Sleep(time.Hour)
		same(t, "confirmed", want, s.got())
		if b.Pending() != 0 || b.value(t, "event_streamer_pending_facts") != 0 || b.value(t, "event_streamer_tracked_jobs") != 0 {
			t.Error("something is left")
		}
	})
}

func TestQueue_blocksWhenFull(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	s := &fakeSender{wait: func(ctx context.Context) error {
		for down.Load() {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	bubble(t, Config{MaxPending: 2}, s, func(t *testing.T, b *bench) {
		var offered atomic.Int32
		go func() {
			for _, id := range []string{"a", "b", "c", "d"} {
				b.Seen(types.UID(id), facts(id))
				offered.Add(1)
			}
		}()
		synctest.Wait()
		if n := offered.Load(); n != 2 {
			t.Fatalf("%d jobs taken, want 2", n)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		same(t, "confirmed", []string{"a", "b", "c", "d"}, s.got())

		down.Store(true)
		go func() {
			for _, id := range []string{"e", "f", "g"} {
				b.Seen(types.UID(id), facts(id))
			}
			offered.Store(100)
		}()
		synctest.Wait()
		b.Unblock()
		synctest.Wait()
		if offered.Load() != 100 {
			t.Error("still blocked after Unblock")
		}
		down.Store(false)
	})
	same(t, "confirmed after the flush", []string{"a", "b", "c", "d", "e", "f", "g"}, slices.Compact(s.got()))
}

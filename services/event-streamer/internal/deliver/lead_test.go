package deliver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func at(stream fact.Stream, version uint64) fact.Mark {
	return fact.Mark{Stream: stream, From: version, To: version}
}

// A standby holds back, drops what the leader has published, and sends the rest
// once it leads; one that lost its lease holds back again.
func TestQueue_standby(t *testing.T) {
	t.Parallel()
	s := &fakeSender{}
	bubble(t, Config{Standby: true, Stall: time.Minute}, s, func(t *testing.T, b *bench) {
		for i, id := range []string{"a", "b", "c"} {
			b.Queue.Seen("u-1", facts(id), at("jobs.ml", uint64(10+i)))
		}
		b.Queue.Gone("u-2", func(context.Context) ([]fact.Fact, error) { return facts("old deletion"), nil }, at("jobs.ml", 11))
		b.Queue.Gone("u-3", func(context.Context) ([]fact.Fact, error) { return facts("deletion"), nil }, at("jobs.ml", 13))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := s.got(); len(got) != 0 {
			t.Errorf("a standby sent %v", got)
		}
		if err := b.Live(); err != nil {
			t.Errorf("a standby that waits counts as stuck: %v", err)
		}
		b.Known(fact.Levels{"jobs.ml": 11})
		if n := b.Pending(); n != 1 {
			t.Errorf("%d facts pending, want the one that the leader has not sent", n)
		}
		b.Lead()
		synctest.Wait()
		if diff := cmp.Diff([]string{"c", "deletion"}, s.got()); diff != "" {
			t.Error(diff)
		}
		b.Queue.Seen("u-1", facts("a", "b", "c"), at("jobs.ml", 14)) // an object repeats itself
		b.Stand()
		b.Queue.Seen("u-1", facts("d"), at("jobs.ml", 15))
		time.Sleep(time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"c", "deletion"}, s.got()); diff != "" {
			t.Errorf("after the lease was lost: %s", diff)
		}
		b.Lead()
		synctest.Wait()
		if diff := cmp.Diff([]string{"c", "d", "deletion"}, s.got()); diff != "" {
			t.Error(diff)
		}
		if v := b.value(t, "event_streamer_leader"); v != 1 {
			t.Errorf("event_streamer_leader is %v", v)
		}
	})
}

// A standby that ends flushes nothing and does not wait.
func TestQueue_standbyEnds(t *testing.T) {
	t.Parallel()
	s := &fakeSender{}
	bubble(t, Config{Standby: true}, s, func(t *testing.T, b *bench) {
		b.Seen("u-1", facts("a"))
		begun := time.Now()
		b.stop()
		if waited := time.Since(begun); waited > 0 || len(s.got()) != 0 {
			t.Errorf("waited %s and sent %v", waited, s.got())
		}
	})
}

func TestQueue_Watermark(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := &fakeSender{outcome: func(id string, _ int) error {
		switch {
		case id == "refused":
			return resilience.Permanent(errors.New("no"))
		case id[0] == 'x':
			select {
			case <-release:
			default:
				return errors.New("not now")
			}
		}
		return nil
	}}
	bubble(t, Config{}, s, func(t *testing.T, b *bench) {
		want := func(what string, want fact.Levels) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, b.Watermark()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		b.Known(fact.Levels{"jobs.a": 50, "pods.a": 40, "jobs.b": 900, "pods.b": 900})
		b.Listed("jobs.a", 100, b.Stored("jobs.a"))
		b.Queue.Seen("u-1", facts("known"), at("jobs.a", 50))
		b.Queue.Seen("u-2", facts("x1"), fact.Mark{Stream: "jobs.a", From: 1, To: 70})
		b.Reached("jobs.a", 100)
		want("before the pods are listed", fact.Levels{"jobs.a": 50, "pods.a": 40, "jobs.b": 900, "pods.b": 900})
		b.Listed("pods.a", 101, b.Stored("pods.a"))
		b.Reached("pods.a", 101)
		want("while a fact of the list is pending", fact.Levels{"jobs.a": 50, "pods.a": 40, "jobs.b": 900, "pods.b": 900})
		b.Listed("jobs.b", 102, b.Stored("jobs.b")) // restored from a backup
		want("a namespace that went back", fact.Levels{"jobs.a": 50, "pods.a": 40})
		close(release)
		time.Sleep(time.Minute)
		want("once all is confirmed", fact.Levels{"jobs.a": 100, "pods.a": 101})
		b.Queue.Seen("u-3", facts("refused"), at("jobs.a", 103))
		b.Queue.Gone("u-4", func(context.Context) ([]fact.Fact, error) { return nil, errors.New("away") }, at("jobs.a", 105))
		b.Reached("jobs.a", 110)
		want("with a deletion to be judged", fact.Levels{"jobs.a": 104, "pods.a": 101})
		if got := s.triesOf("known"); got != 0 {
			t.Errorf("what the watermark covers was sent %d times", got)
		}
		if v := b.value(t, "event_streamer_events_skipped_total"); v != 1 {
			t.Errorf("%v facts skipped, want 1", v)
		}
		b.Gone("u-4", nil)
	})
}

// The cluster is restored from a backup. A leader that has not noticed stores levels
// of before, and dies: what a process makes of the cluster as it is now must not pass
// for published.
func TestQueue_Known_afterTheClusterWentBack(t *testing.T) {
	t.Parallel()
	stored := func(level uint64) fact.Levels { return fact.Levels{"jobs.a": level, "pods.a": 90} }
	cases := []struct {
		name string
		// before is what the process knows and has read when the cluster goes back
		// to version 100; then is what is stored from there on.
		before fact.Levels
		read   uint64
		then   []fact.Levels
		// sent is what is sent of changes at 50, 110 and 130.
		sent []string
	}{
		{"the_leader_died", stored(900), 0, []fact.Levels{stored(900)}, []string{"110", "130", "50"}},
		{"it_went_on_before", stored(900), 0, []fact.Levels{stored(905), stored(905)}, []string{"110", "130", "50"}},
		{"it_had_stored_nothing_of_late", stored(60), 895, []fact.Levels{stored(60), stored(893), stored(893)}, []string{"110", "130", "50"}},
		{"a_new_leader_stores", stored(900), 0, []fact.Levels{stored(900), stored(120)}, []string{"130"}},
		{"the_new_leader_passes_the_old_level", stored(900), 0, []fact.Levels{stored(900), stored(120), stored(901)}, nil},
		{"nothing_is_stored", stored(900), 0, []fact.Levels{nil, stored(900)}, []string{"110", "130", "50"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSender{}
			bubble(t, Config{Standby: true}, s, func(t *testing.T, b *bench) {
				b.Known(c.before)
				b.Reached("jobs.a", c.read)
				b.Listed("jobs.a", 100, b.Stored("jobs.a"))
				b.Reached("jobs.a", 100)
				for _, levels := range c.then {
					b.Known(levels)
				}
				b.Lead()
				for _, version := range []uint64{50, 110, 130} {
					b.Queue.Seen("u-1", facts(fmt.Sprint(version)), at("jobs.a", version))
				}
				synctest.Wait()
				same(t, "sent", c.sent, s.got())
			})
		})
	}
}

// While a list is read the leader goes on, and so does the watermark: that it is above
// the list then says nothing. A standby that took it for a restored cluster would keep
// what its leader has published until it had no room for the rest of the list.
func TestQueue_Listed_whileTheLeaderGoesOn(t *testing.T) {
	t.Parallel()
	both := func(level uint64) fact.Levels { return fact.Levels{"jobs.a": level, "pods.a": level} }
	cases := []struct {
		name string
		// asked is the watermark when the list is asked for, come when it has come,
		// at version 100, and after when it is being handed over.
		asked, come, after fact.Levels
		// kept are the facts of the list, of changes 91 to 100, that are not dropped.
		kept int
	}{
		{"first_watermark", nil, both(105), both(110), 0},
		{"ahead", both(95), both(105), both(110), 0},
		{"ahead_and_idle", both(95), both(105), both(105), 0},
		{"behind", both(80), both(90), both(110), 0},
		{"restored", both(105), both(106), both(110), 10},
		{"restored_as_the_leader_knows", both(900), both(105), both(110), 0},
		{"restored_as_the_leader_finds_out", both(900), both(905), both(110), 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, Config{Standby: true, MaxPending: 3}, &fakeSender{}, func(t *testing.T, b *bench) {
				b.Known(c.asked)
				stored := b.Stored("pods.a")
				b.Known(c.come)
				b.Listed("pods.a", 100, stored)
				handed := false
				go func() {
					for version := uint64(91); version <= 100; version++ {
						b.Queue.Also("u-1", facts(fmt.Sprint(version)), at("pods.a", version), at("jobs.a", 50))
					}
					b.Reached("pods.a", 100)
					handed = true
				}()
				synctest.Wait()
				b.Known(c.after)
				synctest.Wait()
				if blocked := !handed; blocked != (c.kept > 0) {
					t.Errorf("blocked: %v", blocked)
				}
				b.Unblock()
				synctest.Wait()
				if n := b.Pending(); n != c.kept {
					t.Errorf("%d facts pending, want %d", n, c.kept)
				}
			})
		})
	}
}

func TestQueue_Drained(t *testing.T) {
	t.Parallel()
	s := &fakeSender{outcome: func(id string, _ int) error {
		if id == "refused" {
			return resilience.Permanent(errors.New("no"))
		}
		return nil
	}}
	bubble(t, Config{}, s, func(t *testing.T, b *bench) {
		b.Seen("u-1", facts("a", "b"))
		if err := b.Drained(t.Context()); err != nil || len(s.got()) != 2 {
			t.Errorf("%v, sent %v", err, s.got())
		}
		b.Seen("u-1", facts("refused"))
		if err := b.Drained(t.Context()); err == nil {
			t.Error("a refused fact passed for a confirmed one")
		}
	})
}

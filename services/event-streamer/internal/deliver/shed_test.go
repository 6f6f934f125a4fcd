package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// split is a receiver that takes claims and phases only while it is not told off them.
type split struct{ noClaims, noPhases atomic.Bool }

func (r *split) outcome(id string, _ int) error {
	if strings.HasPrefix(id, "p") && r.noPhases.Load() || strings.HasPrefix(id, "c") && r.noClaims.Load() {
		return errBroken
	}
	return nil
}

// offer hands over a claim and a phase of each of n Jobs, as changes 1 to n.
func (b *bench) offer(n int) (offered *atomic.Int32) {
	offered = new(atomic.Int32)
	go func() {
		for i := range n {
			said := slices.Concat(claims(job.Observation{EventID: fmt.Sprint("c", i), Kind: job.KindStatus, State: job.StateRunning}),
				facts(fmt.Sprint("p", i)))
			b.Queue.Seen(types.UID(fmt.Sprint(i)), said, at("jobs.a", uint64(i+1)))
			b.Reached("jobs.a", uint64(i+1))
			offered.Add(1)
		}
	}()
	return offered
}

// Without the topic of phases all claims arrive. The oldest phases are dropped, and
// the watermark passes them: it would stand still for ever.
func TestQueue_phasesHoldUpNoClaim(t *testing.T) {
	t.Parallel()
	var receiver split
	receiver.noPhases.Store(true)
	s := &fakeSender{outcome: receiver.outcome}
	bubble(t, Config{MaxPending: 2}, s, func(t *testing.T, b *bench) {
		b.offer(5)
		time.Sleep(10 * time.Minute)
		same(t, "confirmed", []string{"c0", "c1", "c2", "c3", "c4"}, s.got())
		if n, dropped := b.Pending(), b.value(t, "event_streamer_phases_dropped_total"); n != 1 || dropped != 4 {
			t.Errorf("%d facts pending and %v phases dropped, want 1 and 4", n, dropped)
		}
		if level := b.Watermark()["jobs.a"]; level != 4 {
			t.Errorf("the watermark is at %d, want 4: below the phase that is left", level)
		}
		receiver.noPhases.Store(false)
		time.Sleep(time.Minute)
		b.Queue.Seen("0", facts("p0"), at("jobs.a", 6)) // the object says it again
		time.Sleep(time.Minute)
		same(t, "confirmed in the end", []string{"c0", "c1", "c2", "c3", "c4", "p0", "p4"}, s.got())
		if err := b.Drained(t.Context()); err == nil {
			t.Error("dropped phases passed for confirmed ones")
		}
	})
}

// An outage of both, and one of phases that is soon over, cost no phase: reading waits.
func TestQueue_keepsPhasesThatMayYetArrive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		noClaims bool
		down     time.Duration
	}{
		"nothing can be published":  {true, time.Hour},
		"phases cannot for a while": {false, phasePatience / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var receiver split
			receiver.noPhases.Store(true)
			receiver.noClaims.Store(test.noClaims)
			s := &fakeSender{outcome: receiver.outcome}
			bubble(t, Config{MaxPending: 3}, s, func(t *testing.T, b *bench) {
				offered := b.offer(20)
				time.Sleep(test.down)
				if n := offered.Load(); n == 20 {
					t.Error("reading did not wait")
				}
				receiver.noPhases.Store(false)
				receiver.noClaims.Store(false)
				time.Sleep(time.Minute)
				if n := len(s.got()); n != 40 || b.value(t, "event_streamer_phases_dropped_total") != 0 {
					t.Errorf("%d facts arrived, want all 40", n)
				}
			})
		})
	}
}

// What the deletion of a Job means is said even if its phases cannot be, and its
// phases are even if nobody can tell what it means.
func TestQueue_judgementAndPhasesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	var receiver split
	receiver.noPhases.Store(true)
	s := &fakeSender{outcome: receiver.outcome}
	bubble(t, Config{}, s, func(t *testing.T, b *bench) {
		b.Seen("u", facts("p1"))
		synctest.Wait()
		b.Gone("u", func(context.Context) ([]fact.Fact, error) {
			return claims(endClaim("cancelled", job.StateCancelled, job.CauseDeleted)), nil
		})
		synctest.Wait()
		same(t, "confirmed without the topic of phases", []string{"cancelled"}, s.got())
		receiver.noPhases.Store(false)
		b.Seen("v", nil)
		b.Gone("v", func(context.Context) ([]fact.Fact, error) { return nil, errBroken })
		b.Also("v", facts("p2"))
		time.Sleep(time.Minute)
		same(t, "confirmed without the API server", []string{"cancelled", "p1", "p2"}, s.got())
		b.Seen("v", nil)
	})
}

// Phases of a deleted Job do not wait until there is somebody to judge its deletion,
// unless they cannot be published anyway: then they are not tried time and again.
func TestQueue_phasesDoNotWaitForAFreeJudge(t *testing.T) {
	t.Parallel()
	var receiver split
	s := &fakeSender{outcome: receiver.outcome}
	bubble(t, Config{Workers: 4}, s, func(t *testing.T, b *bench) { // one of them may judge
		free := make(chan struct{})
		b.Gone("slow", func(context.Context) ([]fact.Fact, error) { <-free; return nil, nil })
		synctest.Wait()
		gone := func(uid types.UID, phase string) {
			b.Seen(uid, nil)
			b.Gone(uid, func(context.Context) ([]fact.Fact, error) { return nil, nil })
			b.Also(uid, facts(phase))
			time.Sleep(10 * time.Second)
		}
		gone("u", "p1")
		same(t, "confirmed while another is judged", []string{"p1"}, s.got())
		receiver.noPhases.Store(true)
		gone("v", "p2")
		if n := s.triesOf("p2"); n != 1 {
			t.Errorf("a phase was tried %d times without its topic, want once", n)
		}
		receiver.noPhases.Store(false)
		close(free)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Drained(ctx); err != nil {
			t.Errorf("something is left: %v", err)
		}
		same(t, "confirmed in the end", []string{"p1", "p2"}, s.got())
	})
}

// What a process learned of the topics while it led means nothing once it does not: it
// sends nothing that could find out that they are back.
func TestQueue_standbyDropsNoPhases(t *testing.T) {
	t.Parallel()
	sending := make(chan chan struct{}, 1)
	s := &fakeSender{outcome: func(id string, try int) error {
		if id != "p0" || try > 1 {
			return nil
		}
		answer := make(chan struct{})
		sending <- answer
		<-answer
		return errBroken
	}}
	bubble(t, Config{MaxPending: 8}, s, func(t *testing.T, b *bench) {
		b.Seen("u-0", facts("p0"))
		answer := <-sending
		b.Stand()
		close(answer)
		time.Sleep(2 * phasePatience)
		for i := range 6 {
			b.Seen(types.UID(fmt.Sprint("u-", i)), facts(fmt.Sprint("p", i)))
		}
		if n := b.value(t, "event_streamer_phases_dropped_total"); n != 0 {
			t.Errorf("%v phases dropped on standby", n)
		}
		b.Lead()
		time.Sleep(time.Minute)
		same(t, "confirmed", []string{"p0", "p1", "p2", "p3", "p4", "p5"}, s.got())
	})
}

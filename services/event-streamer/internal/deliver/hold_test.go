package deliver

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// claims makes observations of one job and attempt.
func claims(observations ...job.Observation) []fact.Fact {
	for i := range observations {
		o := &observations[i]
		o.JobID, o.Attempt = "j-1", max(o.Attempt, 1)
	}
	return fact.From(&kube.Facts{Observations: observations})
}

func causeClaim(id string, cause job.Cause) job.Observation {
	return job.Observation{EventID: id, Kind: job.KindCause, Cause: job.CauseDetail{Cause: cause}}
}

func endClaim(id string, state job.State, cause job.Cause) job.Observation {
	return job.Observation{EventID: id, Kind: job.KindStatus, State: state, Cause: job.CauseDetail{Cause: cause}}
}

func TestQueue_causeGoesWithItsEnd(t *testing.T) {
	t.Parallel()
	failed := endClaim("end", job.StateFailed, job.CauseBackoffLimit)
	later := causeClaim("later", job.CauseOOM)
	later.Attempt = 2
	for name, test := range map[string]struct {
		before []fact.Fact
		end    job.Observation
		said   []string // when the end has been seen
		cause  job.Cause
	}{
		"more specific":     {claims(causeClaim("c", job.CauseOOM)), failed, []string{"end"}, job.CauseOOM},
		"less specific":     {claims(causeClaim("c", job.CauseOther)), failed, []string{"end"}, job.CauseBackoffLimit},
		"several":           {claims(causeClaim("c", job.CauseAppExit), causeClaim("d", job.CauseOOM)), failed, []string{"end"}, job.CauseOOM},
		"another run":       {claims(later), failed, []string{"end", "later"}, job.CauseBackoffLimit},
		"after all success": {claims(causeClaim("c", job.CauseOOM)), endClaim("end", job.StateSucceeded, 0), []string{"c", "end"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
				b.Also("u", test.before)
				synctest.Wait()
				same(t, "said before the end", nil, b.sender.got())
				b.Seen("u", claims(test.end))
				synctest.Wait()
				same(t, "said", test.said, b.sender.got())
				if got := b.sender.causeOf("end"); got != test.cause {
					t.Errorf("the end names %s, want %s", got, test.cause)
				}
				if n := b.Pending(); n != 0 {
					t.Errorf("%d facts pending, want none", n)
				}
			})
		})
	}
}

func TestQueue_causeWithoutEndIsHeldForAMoment(t *testing.T) {
	t.Parallel()
	bubble(t, Config{Hold: 3 * time.Second}, &fakeSender{}, func(t *testing.T, b *bench) {
		b.Also("u", slices.Concat(claims(causeClaim("c", job.CauseOOM)), facts("p")))
		time.Sleep(2999 * time.Millisecond)
		synctest.Wait()
		same(t, "said within the moment", []string{"p"}, b.sender.got())
		if err := b.Live(); err != nil {
			t.Errorf("not alive while a cause is held back: %v", err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		same(t, "said after it", []string{"c", "p"}, b.sender.got())
	})
}

func TestQueue_resumeGoesWithTheRun(t *testing.T) {
	t.Parallel()
	status := func(id string, state job.State, generation int64) []fact.Fact {
		return claims(job.Observation{EventID: id, Kind: job.KindStatus, State: state, Generation: generation})
	}
	for name, test := range map[string]struct {
		first, then []fact.Fact
		atOnce, end []string
	}{
		"it runs":               {status("p", job.StatePending, 3), status("r", job.StateRunning, 3), nil, []string{"r"}},
		"it ends":               {status("p", job.StatePending, 3), claims(endClaim("e", job.StateSucceeded, 0)), nil, []string{"e"}},
		"it is suspended again": {status("p", job.StatePending, 3), status("s", job.StateSuspended, 4), nil, []string{"p", "s"}},
		"an older run":          {status("p", job.StatePending, 3), status("r", job.StateRunning, 1), nil, []string{"p", "r"}},
		"a new Job":             {status("p", job.StatePending, 1), status("r", job.StateRunning, 1), []string{"p"}, []string{"p", "r"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
				b.Seen("u", test.first)
				synctest.Wait()
				same(t, "said at once", test.atOnce, b.sender.got())
				b.Seen("u", test.then)
				time.Sleep(time.Minute)
				same(t, "said at the end", test.end, b.sender.got())
				if n := b.Pending(); n != 0 {
					t.Errorf("%d facts pending, want none", n)
				}
			})
		})
	}
}

func TestQueue_causeAfterTheEndGoesAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, Config{}, &fakeSender{}, func(t *testing.T, b *bench) {
		b.Seen("u", claims(endClaim("end", job.StateFailed, job.CauseBackoffLimit)))
		synctest.Wait()
		b.Also("u", claims(causeClaim("c", job.CauseOOM)))
		synctest.Wait()
		same(t, "said", []string{"c", "end"}, b.sender.got())
	})
}

// Until the end is confirmed the cause is not done with: the watermark must not
// pass the pod that told of it.
func TestQueue_causeWaitsUntilItsEndIsConfirmed(t *testing.T) {
	t.Parallel()
	s := &fakeSender{outcome: func(_ string, try int) error {
		if try == 1 {
			return errBroken
		}
		return nil
	}}
	bubble(t, Config{RetryMin: time.Second}, s, func(t *testing.T, b *bench) {
		b.Also("u", claims(causeClaim("c", job.CauseOOM)))
		b.Seen("u", claims(endClaim("end", job.StateFailed, 0)))
		synctest.Wait()
		if n := b.Pending(); n != 2 {
			t.Errorf("%d facts pending after a failed try, want 2", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		same(t, "said", []string{"end"}, b.sender.got())
		if got := s.causeOf("end"); got != job.CauseOOM {
			t.Errorf("the end names %s, want OOM", got)
		}
		if n := b.Pending(); n != 0 {
			t.Errorf("%d facts pending, want none", n)
		}
	})
}

func TestQueue_flushHoldsNothingBack(t *testing.T) {
	t.Parallel()
	bubble(t, Config{Hold: time.Hour}, &fakeSender{}, func(t *testing.T, b *bench) {
		b.Also("u", claims(causeClaim("c", job.CauseOOM)))
		synctest.Wait()
		b.stop()
		same(t, "said", []string{"c"}, b.sender.got())
	})
}

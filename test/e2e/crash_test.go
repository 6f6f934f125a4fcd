//go:build integration

package e2e

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

const (
	// downFor is how long the streamer stays dead each time, at least.
	downFor = 5 * time.Second
	// endedInGap is how many Jobs must end while it is dead, or the test shows
	// nothing; a slow machine gets downAtMost for it.
	endedInGap = 20
	downAtMost = time.Minute
)

// withoutDeletions are scenarios whose end stays visible in the cluster: what
// is deleted while nobody watches is recovery's to find.
func withoutDeletions(jobs int) []drive.Scenario {
	rest := jobs - jobs/5 - jobs/8
	return []drive.Scenario{
		{Name: "succeed", Jobs: rest, Expected: drive.Succeeded, Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed}},
		{Name: "exit-code", Jobs: jobs / 5, Expected: drive.Failed, Spec: stack.JobSpec{Outcome: stack.OutcomeExit}},
		{Name: "suspend-resume", Jobs: jobs / 8, Expected: drive.Succeeded, Act: drive.SuspendAndResume,
			Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed, After: 3 * time.Second}},
	}
}

// atFractions does something each time so many of the Jobs are created.
func atFractions(t *testing.T, d *drive.Driver, fractions []float64, do func() error) func() error {
	t.Helper()
	return func() error {
		for _, f := range fractions {
			for d.Created() < int(f*float64(d.Jobs())) {
				select {
				case <-t.Context().Done():
					return t.Context().Err()
				case <-time.After(20 * time.Millisecond):
				}
			}
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestStreamerKilledThreeTimes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "killed", updater, streamer)
	told := s.collectUpdates()
	plan := drive.Plan{Prefix: "k", Scenarios: withoutDeletions(240), PerSecond: 9}
	if soak() {
		plan.Scenarios, plan.PerSecond = withoutDeletions(2000), 50
	}
	d := s.drive(plan)
	victim := s.services[streamer]
	crash := func() error {
		if err := victim.Kill(); err != nil {
			return err
		}
		from := time.Now()
		pass(t, downFor)
		ended := d.Truth().EndedBetween(from, time.Now())
		for ended < endedInGap && time.Since(from) < downAtMost {
			pass(t, 100*time.Millisecond)
			ended = d.Truth().EndedBetween(from, time.Now())
		}
		t.Logf("%d Jobs ended in the %.1f s that the streamer was dead", ended, time.Since(from).Seconds())
		if ended < endedInGap {
			t.Errorf("only %d Jobs ended while the streamer was dead, want at least %d", ended, endedInGap)
		}
		return victim.Start(t.Context())
	}
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.25, 0.5, 0.75}, crash))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
	told.expectEnds(s, d.Jobs())
}

func TestUpdaterKilledThreeTimes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "updkill", updater, streamer)
	told := s.collectUpdates()
	d := s.drive(drive.Plan{Prefix: "u", Scenarios: drive.Standard(200), PerSecond: 20})
	victim := s.services[updater]
	crash := func() error {
		if err := victim.Kill(); err != nil {
			return err
		}
		return victim.Start(t.Context())
	}
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.25, 0.5, 0.75}, crash))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
	told.expectEnds(s, d.Jobs())
}

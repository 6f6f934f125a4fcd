//go:build integration

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

// lostEnds is how many ends must be confirmed but unconsumed at the kill, or the
// test shows nothing; emptyFor is how long Pub/Sub then has no topic at all.
const lostEnds = 10

func emptyFor() time.Duration {
	if soak() {
		return 30 * time.Second
	}
	return 5 * time.Second
}

// The Pub/Sub emulator is killed with a backlog in it and comes back empty: what
// it had confirmed is gone, as it would be if somebody deleted the subscription.
// The services carry on by themselves once topics and subscriptions are there
// again, exactly the jobs whose end was lost are wrong, and a resync mends them.
//
// Not parallel: the emulator dies for everybody.
func TestPubSubStartedEmpty(t *testing.T) { //nolint:paralleltest // it kills what the other tests use
	s := newSystem(t, "psempty", streamer)
	s.start(stack.ServiceSpec{Name: updater, Env: []string{"LOG_LEVEL=debug"}})
	jobs, pace := 150, 10.0
	if soak() {
		jobs, pace = 600, 20
	}
	d := s.drive(drive.Plan{Prefix: "q", Scenarios: withoutDeletions(jobs), PerSecond: pace})
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.4}, s.losePubSub))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.expectWrong(d)
	s.resync()
	s.settle(d)
}

// losePubSub kills the emulator while status-updater is cut off from a backlog,
// and starts and provisions it again. A paused status-updater would not do: the
// backlog would wait in its stream and survive.
func (s *system) losePubSub() error {
	pubsub, err := shared.Part(stack.PartPubSub)
	if err != nil {
		return err
	}
	mend := shared.PubSub.Inject(proxy.Fault{Project: s.ID, Method: "StreamingPull", Cut: true})
	defer mend()
	s.eventually("a backlog with ends in it", func() (bool, string) {
		ends := 0
		for _, c := range s.lostClaims() {
			if c.terminal() {
				ends++
			}
		}
		return ends >= lostEnds, formatFloat(float64(ends))
	})
	if err := pubsub.Kill(); err != nil {
		return err
	}
	mend()
	if err := pubsub.Restart(s.t.Context()); err != nil {
		return err
	}
	pass(s.t, emptyFor())
	return s.Provision(s.t.Context())
}

// claim is a log line about a fact that event-streamer published, or that
// status-updater handled.
type claim struct {
	EventID string `json:"event_id"`
	JobID   string `json:"job_id"`
	Kind    string `json:"kind"`
	State   string `json:"state"`
	Message string `json:"message"`
	Outcome string `json:"outcome"`
}

func (c *claim) terminal() bool {
	return c.State == drive.Succeeded || c.State == drive.Failed || c.State == drive.Cancelled
}

// lostClaims are what Pub/Sub confirmed to event-streamer and status-updater
// never handled, by event id.
func (s *system) lostClaims() map[string]claim {
	s.t.Helper()
	lost := map[string]claim{}
	eachLine(s.t, s.services[streamer].LogPath(), func(c claim) {
		if c.Message == "published" && c.EventID != "" {
			lost[c.EventID] = c
		}
	})
	eachLine(s.t, s.services[updater].LogPath(), func(c claim) {
		if c.Outcome != "" {
			delete(lost, c.EventID)
		}
	})
	return lost
}

// expectWrong waits until exactly those jobs are wrong whose end was lost, lists
// what was lost, and checks that some was: else there is nothing to mend.
func (s *system) expectWrong(d *drive.Driver) {
	s.t.Helper()
	var report *drive.Report
	var lost map[string][]string
	s.eventually("exactly the jobs to be wrong whose end was lost", func() (bool, string) {
		var err error
		if report, err = d.Check(s.t.Context(), s.firestore); err != nil {
			return false, err.Error()
		}
		wrong, ends := map[string]bool{}, map[string]bool{}
		for _, p := range report.Problems {
			wrong[p.JobID] = true
		}
		lost = map[string][]string{}
		for _, c := range s.lostClaims() {
			lost[c.JobID] = append(lost[c.JobID], strings.TrimSpace(c.Kind+" "+c.State))
			if c.terminal() {
				ends[c.JobID] = true
			}
		}
		return maps.Equal(wrong, ends), fmt.Sprintf("wrong %v, ends lost %v", wrong, ends)
	})
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		s.t.Logf("confirmed but unconsumed at the kill, of %s: %s", id, strings.Join(lost[id], ", "))
	}
	s.t.Logf("messages of %d jobs were lost; before the resync: %s", len(lost), report.Summary())
	if report.Right() {
		s.t.Error("no end was lost, so the test shows nothing")
	}
}

// resync runs event-streamer --resync beside the leader, to its end.
func (s *system) resync() {
	s.t.Helper()
	process := s.start(stack.ServiceSpec{Name: "resync", Binary: binary(streamer), Args: []string{"--resync"}, NotReady: true})
	process.ExpectExit()
	select {
	case <-process.Exited():
	case <-time.After(patience):
		s.t.Fatalf("event-streamer --resync has not ended within %s; log: %s", patience, process.LogPath())
	}
	if code := process.ExitCode(); code != 0 {
		s.t.Fatalf("event-streamer --resync ended with code %d; log: %s", code, process.LogPath())
	}
}

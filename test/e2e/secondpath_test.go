//go:build integration

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
)

const witness = "event-streamer-witness"

// witnessContainer is where GKE would run the log witness.
func witnessContainer() logsink.Container {
	return logsink.Container{Namespace: "resiliency", Pod: "event-streamer-witness-0", Name: witness}
}

// startUpdater starts status-updater so that it trusts the log witness.
func (s *system) startUpdater(env ...string) {
	s.t.Helper()
	c := witnessContainer()
	s.start(stack.ServiceSpec{Name: updater, Env: append(env,
		"WITNESS_NAMESPACE="+c.Namespace, "WITNESS_CONTAINER="+c.Name)})
}

// startSecondPath starts the log witness and the sink that carries its lines
// and the cluster's Events.
func (s *system) startSecondPath(faults logsink.Faults) *stack.LogSink {
	s.t.Helper()
	sink, err := s.StartLogSink(s.t.Context(), stack.SinkSpec{
		FilterFile: filepath.Join(root, logsink.FilterFile),
		Witness:    witnessContainer(), Faults: faults, Log: zerolog.New(zerolog.NewTestWriter(s.t)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	process := s.start(stack.ServiceSpec{Name: witness, Binary: binary(streamer), Env: []string{"PUBLISH=log"}})
	if err := sink.Follow(process, witnessContainer()); err != nil {
		s.t.Fatal(err)
	}
	return sink
}

// usualFaults are those of a sink on an ordinary day: late, repeating, out of order.
func usualFaults() logsink.Faults {
	return logsink.Faults{
		Seed: 1, MinLag: 200 * time.Millisecond, MaxLag: 2 * time.Second,
		Repeat: 0.2, SameID: 0.5, Reorder: 0.2, ReorderBy: 2 * time.Second,
	}
}

// oneWatcherDies stops one of the two watchers for good half-way: the other
// one's path carries everything.
func oneWatcherDies(t *testing.T, prefix, victim string) {
	t.Helper()
	s := newSystem(t, prefix)
	s.startUpdater()
	s.start(stack.ServiceSpec{Name: streamer})
	s.startSecondPath(usualFaults())
	told := s.collectUpdates()
	jobs, pace := 200, 15.0
	if soak() {
		jobs, pace = 2000, 50
	}
	d := s.drive(drive.Plan{Prefix: "w", Scenarios: drive.Standard(jobs), PerSecond: pace})
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.5}, func() error { return s.services[victim].Kill() }))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
	told.expectEnds(s, d.Jobs())
}

func TestStreamerDiesForGood(t *testing.T) {
	t.Parallel()
	oneWatcherDies(t, "wstream", streamer)
}

func TestWitnessDiesForGood(t *testing.T) {
	t.Parallel()
	oneWatcherDies(t, "wwitness", witness)
}

// With both watchers dead only Kubernetes' own Events are left. They are lossy:
// of the jobs that had a record, exactly those whose Event was kept end right,
// and no other job is given an end.
//
// Not parallel: the controller writes Events one after another, and those of the
// other tests would stand before them in its queue.
func TestEventsAlone(t *testing.T) { //nolint:paralleltest // see above
	s := newSystem(t, "events")
	s.startUpdater()
	s.start(stack.ServiceSpec{Name: streamer})
	sink := s.startSecondPath(usualFaults())
	jobs := 60
	if soak() {
		jobs = 300
	}
	// None may end before all have a record and the watchers are dead.
	after := 20*time.Second + time.Duration(jobs)*100*time.Millisecond
	d := s.drive(drive.Plan{Prefix: "e", PerSecond: 20, Scenarios: []drive.Scenario{
		{Name: "succeed", Jobs: jobs * 2 / 3, Expected: drive.Succeeded,
			Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed, After: after}},
		{Name: "exit-code", Jobs: jobs - jobs*2/3, Expected: drive.Failed,
			Spec: stack.JobSpec{Outcome: stack.OutcomeExit, After: after}},
	}})
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	s.eventually("a record of each job", func() (bool, string) {
		docs, err := s.firestore.Collection("jobs").Documents(t.Context()).GetAll()
		return err == nil && len(docs) == d.Jobs(), formatFloat(float64(len(docs)))
	})
	for _, watcher := range []string{streamer, witness} {
		if err := s.services[watcher].Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range d.Truth().Facts() {
		if f.State != "" {
			t.Fatalf("job %s ended before the watchers were dead, so the test shows nothing", name)
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.expectKeptEnds(d, sink)
}

// expectKeptEnds compares records with the Events that the control plane kept.
func (s *system) expectKeptEnds(d *drive.Driver, sink *stack.LogSink) {
	s.t.Helper()
	kept := s.settledEvents(sink)
	s.t.Attr("events_kept", fmt.Sprintf("%d of %d ends", len(kept), d.Jobs()))
	facts := d.Truth().Facts()
	for name := range kept {
		s.awaitState(name, facts[name].State)
	}
	for name := range facts {
		if active, _ := s.document(name)["active"].(bool); active || kept[name] {
			continue
		}
		// Its Event may have come since.
		if kept = s.keptEvents(sink); !kept[name] {
			s.t.Errorf("job %s was given an end, though nobody could know of it", name)
		}
	}
}

// eventsQuiet is how long no Event of an end must come: the controller writes
// them one after another, behind those of everything else in the cluster.
const eventsQuiet = 5 * time.Second

// settledEvents waits until some ends were told by Events and no more come.
func (s *system) settledEvents(sink *stack.LogSink) map[string]bool {
	s.t.Helper()
	var kept map[string]bool
	since := time.Now()
	s.eventually("Events of ends, and then no more", func() (bool, string) {
		if now := s.keptEvents(sink); len(now) != len(kept) {
			kept, since = now, time.Now()
		}
		return len(kept) > 0 && time.Since(since) > eventsQuiet, formatFloat(float64(len(kept)))
	})
	return kept
}

// keptEvents are the jobs whose end an Event told, after everything that is
// under way has arrived.
func (s *system) keptEvents(sink *stack.LogSink) map[string]bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := sink.Drain(ctx); err != nil {
		s.t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, k := range sink.KeptEvents() {
		if k.Namespace == s.Namespace {
			kept[k.Name] = true
		}
	}
	return kept
}

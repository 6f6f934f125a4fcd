//go:build integration

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

const (
	streamer = "event-streamer"
	updater  = "status-updater"
)

// patience is how long records may trail the cluster: far more than they do,
// since the race detector and the other tests share two cores.
const patience = 90 * time.Second

// soak reports whether the full figures are asked for.
func soak() bool { return os.Getenv("SOAK") != "" }

// system is the services of one test with the clients to look at them.
type system struct {
	*stack.Project
	t         *testing.T
	firestore *firestore.Client
	pubsub    *pubsub.Client
	services  map[string]*stack.Process
}

// newSystem makes a project for the test and starts services in it, race-built.
// At the end they are stopped, and a race report or an end that nobody asked
// for fails the test.
func newSystem(t *testing.T, prefix string, services ...string) *system {
	t.Helper()
	ctx := t.Context()
	p, err := shared.NewProject(ctx, prefix)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{Project: p, t: t, services: map[string]*stack.Process{}}
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("stop the services: %v", err)
		}
	})
	if s.firestore, err = p.Firestore(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.firestore.Close() })
	if s.pubsub, err = p.PubSub(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.pubsub.Close() })
	for _, name := range services {
		s.start(stack.ServiceSpec{Name: name})
	}
	return s
}

// start starts one service, by default the race-built one of its name.
func (s *system) start(spec stack.ServiceSpec) *stack.Process {
	s.t.Helper()
	if spec.Binary == "" {
		spec.Binary = binary(spec.Name)
	}
	process, err := s.StartService(s.t.Context(), spec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.services[spec.Name] = process
	return process
}

func binary(service string) string {
	return filepath.Join(root, ".run", "bin-race", service)
}

// drive prepares a plan in the test's namespace.
func (s *system) drive(plan drive.Plan) *drive.Driver {
	s.t.Helper()
	plan.Namespace = s.Namespace
	d, err := drive.New(s.t.Context(), shared.Kube(), plan)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(d.Close)
	return d
}

// settle waits for the records and fails the test if any is wrong or lost.
func (s *system) settle(d *drive.Driver) {
	s.t.Helper()
	report, err := d.Settle(s.t.Context(), s.firestore, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Log(report.Summary())
	for _, p := range report.Problems {
		s.t.Errorf("%s %s: %s", p.Verdict, p.JobID, p.Problem)
	}
	if !report.Right() || report.Jobs == 0 {
		s.t.Errorf("not right: %s", report.Summary())
	}
}

// eventually asks again until the condition holds.
func (s *system) eventually(what string, holds func() (bool, string)) {
	s.t.Helper()
	s.within(patience, what, holds)
}

// within is eventually for what may take longer.
func (s *system) within(limit time.Duration, what string, holds func() (bool, string)) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, now := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not come within %s; now: %s", what, limit, now)
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatal(context.Cause(s.t.Context()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// document reads a raw job record; nil means that there is none.
func (s *system) document(id string) map[string]any {
	s.t.Helper()
	docs, err := s.firestore.Collection("jobs").Where(firestore.DocumentID, "==", s.firestore.Collection("jobs").Doc(id)).Documents(s.t.Context()).GetAll()
	if err != nil {
		s.t.Fatalf("read record %s: %v", id, err)
	}
	if len(docs) == 0 {
		return nil
	}
	return docs[0].Data()
}

// awaitState waits until the record of a job says so.
func (s *system) awaitState(id, state string) map[string]any {
	s.t.Helper()
	var doc map[string]any
	s.eventually("record "+id+" to say "+state, func() (bool, string) {
		doc = s.document(id)
		got, _ := doc["state"].(string)
		return got == state, got
	})
	return doc
}

// pass lets time go by where the passing of time is itself what is tested: an
// outage's length, the next second of a clock. Never to wait for something.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(context.Cause(t.Context()))
	}
}

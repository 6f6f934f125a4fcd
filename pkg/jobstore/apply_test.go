package jobstore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
)

// claim is a status of job j, as many seconds after the epoch as given.
func claim(state job.State, second int) *job.Observation {
	o := &job.Observation{
		EventID: fmt.Sprintf("e-%s-%d", job.StateName(state), second), JobID: "j", Attempt: 1,
		OccurredAt: epoch.Add(time.Duration(second) * time.Second), Source: 1,
		Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, Kind: job.KindStatus, State: state,
		Kubernetes: job.Kubernetes{UID: "u-1", CreatedAt: epoch},
	}
	if job.Terminal(state) {
		o.Evidence = job.EvidenceCondition
	}
	return o
}

// oneEntry makes one outbox entry for every change.
func oneEntry(before, after *job.Record, revision int64) ([]Entry, error) {
	return []Entry{{
		ID: fmt.Sprintf("%s-%d", after.JobID, revision), Topic: "job-updates", Type: "t",
		Payload:    []byte(job.StateName(before.Status.State) + ">" + job.StateName(after.Status.State)),
		Attributes: map[string]string{"job_id": after.JobID},
	}}, nil
}

func testStore(b backend, opts ...Option) *Store {
	clock := func() time.Time { return epoch.Add(time.Hour) }
	return newStore(b, append([]Option{WithClock(clock), WithOutbox(oneEntry), WithWriter("w1")}, opts...)...)
}

func mustApply(t *testing.T, s *Store, o *job.Observation) Result {
	t.Helper()
	r, err := s.Apply(t.Context(), o)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return r
}

func stateOf(t *testing.T, s *Store, jobID string) (job.State, Meta) {
	t.Helper()
	stored, found, err := s.Get(t.Context(), jobID)
	if err != nil || !found {
		t.Fatalf("get %s: found %v, error %v", jobID, found, err)
	}
	return stored.Record.Status.State, stored.Meta
}

// A job's usual life, told by both sources: three record commits with two
// outbox entries if PENDING makes none, and one read in all.
func TestApply_CostOfAUsualJob(t *testing.T) {
	t.Parallel()
	db := newMemory()
	updates := func(before, after *job.Record, revision int64) ([]Entry, error) {
		if after.Status.State == job.StatePending {
			return nil, nil
		}
		return oneEntry(before, after, revision)
	}
	s := testStore(db, WithOutbox(updates))
	for i, state := range []job.State{job.StatePending, job.StateRunning, job.StateSucceeded} {
		for _, source := range []job.Source{1, 2} {
			o := claim(state, i)
			o.Source = source
			want := job.OutcomeApplied
			if source == 2 {
				want = job.OutcomeDuplicate
			}
			if r := mustApply(t, s, o); r.Outcome != want || r.Revision != int64(i+1) {
				t.Errorf("%s from source %d: %s at revision %d", job.StateName(state), source, r.Outcome, r.Revision)
			}
		}
	}
	if gets, commits := db.counts(); gets != 1 || commits != 3 {
		t.Errorf("%d reads and %d commits, want 1 and 3", gets, commits)
	}
	if got := db.ids(collectionOutbox); len(got) != 2 {
		t.Errorf("outbox entries %v, want 2", got)
	}
	state, meta := stateOf(t, s, "j")
	want := Meta{
		Revision: 3, UpdatedAt: epoch.Add(time.Hour), UpdatedBy: "w1",
		CheckAfter: epoch.Add(time.Hour), Shard: ShardOf("j", DefaultShards),
	}
	if state != job.StateSucceeded || meta != want {
		t.Errorf("stored %s %+v, want %+v", job.StateName(state), meta, want)
	}
}

func TestApply_WhatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	db := newMemory()
	mustApply(t, testStore(db), claim(job.StateSucceeded, 9))
	cold := testStore(db)
	for i, tc := range []struct {
		claim *job.Observation
		want  job.Outcome
	}{
		{claim(job.StateSucceeded, 9), job.OutcomeDuplicate},
		{claim(job.StateRunning, 5), job.OutcomeStale},
		{claim(job.StateSucceeded, 9), job.OutcomeDuplicate},
	} {
		r := mustApply(t, cold, tc.claim)
		if r.Outcome != tc.want || r.Tries != 0 || len(r.Entries) != 0 || r.Revision != 1 {
			t.Errorf("claim %d: %+v, want %s", i, r, tc.want)
		}
	}
	if gets, commits := db.counts(); gets != 2 || commits != 1 {
		t.Errorf("%d reads and %d commits, want 1 read for each store and 1 commit", gets, commits)
	}
}

func TestApply_CorrectionIsReported(t *testing.T) {
	t.Parallel()
	s := testStore(newMemory())
	lost := claim(job.StateFailed, 5)
	lost.Evidence = job.EvidenceAbsence
	mustApply(t, s, lost)
	r := mustApply(t, s, claim(job.StateSucceeded, 6))
	if r.Outcome != job.OutcomeCorrected || r.Before.Status.State != job.StateFailed || r.Revision != 2 {
		t.Errorf("result %+v", r)
	}
	want := []Entry{{
		ID: "j-2", Topic: "job-updates", Type: "t", Payload: []byte("FAILED>SUCCEEDED"),
		Attributes: map[string]string{"job_id": "j"}, CreatedAt: epoch.Add(time.Hour),
	}}
	if diff := cmp.Diff(want, r.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// In one process claims about one job never cost each other a commit.
func TestApply_OneProcessMeetsNoConflicts(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if r, err := s.Apply(context.Background(), claim(job.StateRunning, i)); err != nil || r.Tries > 1 {
				t.Errorf("claim %d: %d tries, error %v", i, r.Tries, err)
			}
		})
	}
	all.Wait()
	gets, commits := db.counts()
	_, meta := stateOf(t, s, "j")
	if gets != 1 || meta.Revision != int64(commits) || len(db.ids(collectionOutbox)) != commits {
		t.Errorf("%d reads, %d commits, revision %d, %d entries", gets, commits, meta.Revision, len(db.ids(collectionOutbox)))
	}
	if n := len(s.locks.held); n != 0 {
		t.Errorf("%d locks left", n)
	}
}

// A commit that collides with an outbox entry of the same id waits for it to be
// sent: content never varies under an id.
func TestApply_NeverOverwritesAnEntry(t *testing.T) {
	t.Parallel()
	db := newMemory()
	e := Entry{ID: "j-1", Topic: "job-updates", Payload: []byte("old")}
	if _, err := db.carryOut([]write{e.create()}); err != nil {
		t.Fatal(err)
	}
	db.onCommit = func(n int) fault {
		if n == 3 {
			return fault{before: func() {
				_, _ = db.carryOut([]write{{kind: writeDelete, collection: collectionOutbox, id: "j-1"}})
			}}
		}
		return fault{}
	}
	if r := mustApply(t, testStore(db), claim(job.StateRunning, 1)); r.Tries != 3 {
		t.Errorf("%d tries, want 3", r.Tries)
	}
}

// What goes out belongs to the trace of the call that commits it, and the entry
// keeps it: the sweep that may send it knows of no call.
func TestApply_EntriesCarryTheTrace(t *testing.T) {
	t.Parallel()
	type key struct{}
	db := newMemory()
	s := testStore(db, WithTrace(func(ctx context.Context, attributes map[string]string) {
		attributes["traceparent"], _ = ctx.Value(key{}).(string)
	}))
	result, err := s.Apply(context.WithValue(t.Context(), key{}, "of the claim"), claim(job.StateRunning, 1))
	if err != nil || len(result.Entries) == 0 || result.Entries[0].Attributes["traceparent"] != "of the claim" {
		t.Fatalf("entries %+v, error %v", result.Entries, err)
	}
	page, err := s.PendingEntries(t.Context(), "", 10)
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Attributes["traceparent"] != "of the claim" {
		t.Errorf("stored %+v, error %v", page.Entries, err)
	}
}

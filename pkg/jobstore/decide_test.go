package jobstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
)

var fence = Fence{Collection: "leases/x/fences", Document: "7-1", Token: 7}

// judged is a store with a running job, as it was read for judging.
func judged(t *testing.T) (*memory, *Store, Stored) {
	t.Helper()
	db := newMemory()
	if _, err := db.carryOut([]write{{
		kind: writeSet, collection: fence.Collection, id: fence.Document, fields: map[string]any{FenceField: int64(7)},
	}}); err != nil {
		t.Fatal(err)
	}
	mustApply(t, testStore(db, WithWriter("other")), claim(job.StateRunning, 1))
	s := testStore(db)
	stored, found, err := s.Get(t.Context(), "j")
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	return db, s, stored
}

func failed(second int) job.Observation {
	o := claim(job.StateFailed, second)
	o.Evidence, o.Detail = job.EvidenceAbsence, "nothing there"
	o.Cause = job.CauseDetail{Cause: job.CauseLost}
	return *o
}

func note(id string) Entry {
	return Entry{ID: id, Topic: "job-phases", Type: "p", Payload: []byte("p"), Attributes: map[string]string{}}
}

func TestDecide_WritesAllAtOnce(t *testing.T) {
	t.Parallel()
	db, s, on := judged(t)
	d := &Decision{On: on, Claims: []job.Observation{failed(60)}, Entries: []Entry{note("phase")}, Fence: fence}
	r, err := s.Decide(t.Context(), d)
	if err != nil || r.Outcome != job.OutcomeApplied || r.Revision != 2 || len(r.Entries) != 2 || r.Tries != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"j-1", "j-2", "phase"}, db.ids(collectionOutbox)); diff != "" {
		t.Errorf("outbox (-want +got):\n%s", diff)
	}
	got, _, err := s.Get(t.Context(), "j")
	if err != nil || !got.Record.Equal(r.After) {
		t.Fatalf("stored %+v, returned %+v, %v", got.Record, r.After, err)
	}
	if db.docs["jobs/j"].fields["active"] != false || got.Meta.Recovery.Revision != 2 {
		t.Errorf("meta %+v", got.Meta)
	}
	// What recovery itself wrote is no sign of life; what others write is.
	if heard := got.Meta.HeardAt(); !heard.Equal(on.Meta.UpdatedAt) {
		t.Errorf("heard at %s", heard)
	}
	mustApply(t, s, claim(job.StateSucceeded, 2))
	if _, meta := stateOf(t, s, "j"); !meta.HeardAt().Equal(meta.UpdatedAt) || meta.Recovery.Revision != 2 {
		t.Errorf("after news: %+v", meta)
	}
}

func TestDecide_ResumeIsCountedWithItsCommand(t *testing.T) {
	t.Parallel()
	db, s, on := judged(t)
	until := epoch.Add(2 * time.Hour)
	for n := int64(1); n <= 2; n++ {
		d := &Decision{On: on, Resume: &Resume{Attempt: 1, Until: until}, CheckAfter: until, Entries: []Entry{note("c" + string(rune('0'+n)))}, Fence: fence}
		r, err := s.Decide(t.Context(), d)
		if err != nil || r.Outcome != 0 || len(r.Entries) != 1 || r.Revision != 1+n {
			t.Fatalf("%+v, %v", r, err)
		}
		if on, _, err = s.Get(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
		want := Recovery{Resumes: n, ResumeAttempt: 1, ResumeUntil: until, Revision: 1 + n, HeardAt: epoch.Add(time.Hour).Truncate(job.Precision)}
		if diff := cmp.Diff(want, on.Meta.Recovery); diff != "" || !on.Meta.CheckAfter.Equal(until) {
			t.Errorf("check after %s, recovery (-want +got):\n%s", on.Meta.CheckAfter, diff)
		}
	}
	if got := db.ids(collectionOutbox); len(got) != 3 {
		t.Errorf("outbox %v", got)
	}
	if on.Record.Status.State != job.StateRunning {
		t.Errorf("a command changed the status to %s", on.Record.Status.State)
	}
}

func TestDecide_NothingNewWritesNothing(t *testing.T) {
	t.Parallel()
	db, s, on := judged(t)
	_, before := db.counts()
	r, err := s.Decide(t.Context(), &Decision{On: on, Claims: []job.Observation{*claim(job.StateRunning, 1)}, CheckAfter: epoch})
	if _, after := db.counts(); err != nil || r.Outcome != job.OutcomeDuplicate || after != before {
		t.Errorf("%+v, %v, %d commits", r, err, after-before)
	}
	if _, err := s.Decide(t.Context(), &Decision{On: on, Claims: []job.Observation{{JobID: "a/b"}}}); err == nil {
		t.Error("a path as id was taken")
	}
}

func TestDecide_Refusals(t *testing.T) {
	t.Parallel()
	conflict := status.Error(codes.FailedPrecondition, "changed")
	cases := []struct {
		name   string
		hook   func(db *memory, n int) fault
		want   error
		writes bool
	}{
		{"moved", func(db *memory, _ int) fault {
			return fault{before: func() {
				_, _ = testStore(without(db), WithWriter("other")).Apply(context.Background(), claim(job.StateRunning, 30))
			}}
		}, ErrMoved, false},
		{"record_deleted", func(db *memory, _ int) fault {
			return fault{before: func() { _, _ = db.carryOut([]write{{kind: writeDelete, collection: collectionJobs, id: "j"}}) }}
		}, ErrMoved, false},
		{"fenced", func(db *memory, _ int) fault {
			return fault{before: func() {
				_, _ = db.carryOut([]write{{kind: writeDelete, collection: fence.Collection, id: fence.Document}})
			}}
		}, ErrFenced, false},
		{"contention", func(_ *memory, n int) fault {
			if n == 2 {
				return fault{err: status.Error(codes.Aborted, "contention")}
			}
			return fault{}
		}, nil, true},
		{"answer_lost", func(_ *memory, n int) fault {
			if n == 2 {
				return fault{err: conflict, done: true}
			}
			return fault{}
		}, nil, true},
		{"down_but_done", func(_ *memory, n int) fault {
			if n == 2 {
				return fault{err: status.Error(codes.Unavailable, "reset"), done: true}
			}
			return fault{}
		}, nil, true},
		{"down_for_a_moment", func(_ *memory, n int) fault {
			if n == 2 {
				return fault{err: status.Error(codes.Unavailable, "reset")}
			}
			return fault{}
		}, nil, true},
		{"contention_for_ever", func(_ *memory, _ int) fault { return fault{err: conflict} }, ErrContended, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db, s, on := judged(t)
			s.maxTries = 3
			db.onCommit = func(n int) fault { return c.hook(db, n) }
			r, err := s.Decide(t.Context(), &Decision{On: on, Claims: []job.Observation{failed(60)}, Entries: []Entry{note("phase")}, Fence: fence})
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			wrote := false
			for _, id := range db.ids(collectionOutbox) {
				wrote = wrote || id == "phase"
			}
			if wrote != c.writes || c.writes && (r.Outcome != job.OutcomeApplied || len(r.Entries) != 2) {
				t.Errorf("wrote %v, result %+v", wrote, r)
			}
		})
	}
}

// without is the same documents without the hook.
func without(db *memory) *memory { return &memory{docs: db.docs, tick: db.tick.Add(time.Second)} }

func TestPostpone(t *testing.T) {
	t.Parallel()
	db, s, on := judged(t)
	until := epoch.Add(3 * time.Hour)
	if err := s.Postpone(t.Context(), &on, until); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Get(t.Context(), "j")
	want := on.Meta
	want.CheckAfter = until
	if diff := cmp.Diff(want, got.Meta); diff != "" || err != nil {
		t.Errorf("%v, meta (-want +got):\n%s", err, diff)
	}
	if err := s.Postpone(t.Context(), &on, until); !errors.Is(err, ErrMoved) {
		t.Errorf("on an old record: %v", err)
	}
	if len(db.ids(collectionOutbox)) != 1 {
		t.Error("something went out")
	}
	// A change of the job brings it back at once.
	r := mustApply(t, s, claim(job.StateSuspended, 30))
	if _, meta := stateOf(t, s, "j"); !meta.CheckAfter.Equal(meta.UpdatedAt) || r.Revision != 2 {
		t.Errorf("meta %+v", meta)
	}
}

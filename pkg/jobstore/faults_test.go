package jobstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// Another process changes the record between our read and our commit.
func TestApply_ConflictReadsAgain(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("record_is_new_%v", first), func(t *testing.T) {
			t.Parallel()
			db := newMemory()
			ours, others := testStore(db), testStore(db, WithWriter("w2"))
			if !first {
				mustApply(t, ours, claim(job.StatePending, 0))
			}
			before := db.commits
			db.onCommit = func(n int) fault {
				if n != before+1 {
					return fault{}
				}
				return fault{before: func() {
					if _, err := others.Apply(context.Background(), claim(job.StateRunning, 1)); err != nil {
						t.Error(err)
					}
				}}
			}
			r := mustApply(t, ours, claim(job.StateSucceeded, 2))
			if r.Before.Status.State != job.StateRunning || r.Tries != 2 {
				t.Errorf("claim met %s in %d tries, want RUNNING in 2", job.StateName(r.Before.Status.State), r.Tries)
			}
			state, meta := stateOf(t, ours, "j")
			wantRevision := int64(2)
			if !first {
				wantRevision = 3
			}
			if state != job.StateSucceeded || meta.Revision != wantRevision {
				t.Errorf("stored %s at revision %d, want %d", job.StateName(state), meta.Revision, wantRevision)
			}
		})
	}
}

// The document is deleted under a cached record: the claim begins a new one.
func TestApply_DeletedDocumentBeginsAnew(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	mustApply(t, s, claim(job.StatePending, 0))
	if _, err := db.carryOut([]write{
		{kind: writeDelete, collection: collectionJobs, id: "j"},
		{kind: writeDelete, collection: collectionOutbox, id: "j-1"},
	}); err != nil {
		t.Fatal(err)
	}
	if r := mustApply(t, s, claim(job.StateRunning, 1)); r.Revision != 1 || r.Before.JobID != "" {
		t.Errorf("result %+v, want a new record", r)
	}
}

// The commit was carried out, but its answer said conflict: the client library
// had repeated it after a lost answer.
func TestApply_FindsItsOwnCommit(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]codes.Code{
		"create": codes.AlreadyExists, "update": codes.FailedPrecondition,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newMemory()
			reg := prometheus.NewRegistry()
			s := testStore(db, WithRegisterer(reg))
			faulty := 1
			if name == "update" {
				mustApply(t, s, claim(job.StatePending, 0))
				faulty = 2
			}
			db.onCommit = func(n int) fault {
				if n == faulty {
					return fault{err: status.Error(code, "seen before"), done: true}
				}
				return fault{}
			}
			r := mustApply(t, s, claim(job.StateRunning, 1))
			if r.Outcome != job.OutcomeApplied || r.Revision != int64(faulty) || len(r.Entries) != 1 {
				t.Errorf("result %+v, want the change applied with its entry", r)
			}
			if _, commits := db.counts(); commits != faulty {
				t.Errorf("%d commits, want %d", commits, faulty)
			}
			if got := testutil.ToFloat64(s.metrics.ownCommits); got != 1 {
				t.Errorf("own commits found: %v", got)
			}
		})
	}
}

// The commit was carried out but its answer never came, then the claim comes
// again: to the process that made it, or to another one.
func TestApply_UnansweredCommit(t *testing.T) {
	t.Parallel()
	unanswered := func(db *memory) *Store {
		db.onCommit = func(int) fault { return fault{err: status.Error(codes.DeadlineExceeded, "late"), done: true} }
		s := testStore(db)
		_, err := s.Apply(t.Context(), claim(job.StateRunning, 1))
		if resilience.CategoryOf(err) != resilience.CategoryDependency || resilience.DependencyOf(err) != dependencyName {
			t.Fatalf("error %v is no fault of Firestore", err)
		}
		db.onCommit = nil
		return s
	}
	other := claim(job.StateRunning, 1)
	other.EventID, other.Source = "e-other", 2
	cases := []struct {
		name    string
		claim   *job.Observation
		writer  string
		outcome job.Outcome
		entries string
	}{
		{"same_claim_same_process", claim(job.StateRunning, 1), "w1", job.OutcomeApplied, "[j-1]"},
		{"same_fact_of_another_source", other, "w1", job.OutcomeDuplicate, "[j-1]"},
		{"next_claim_same_process", claim(job.StateSucceeded, 2), "w1", job.OutcomeApplied, "[j-1 j-2]"},
		{"same_claim_other_process", claim(job.StateRunning, 1), "w2", job.OutcomeDuplicate, "[]"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := newMemory()
			s := unanswered(db)
			if tc.writer != "w1" {
				s = testStore(db, WithWriter(tc.writer))
			}
			r := mustApply(t, s, tc.claim)
			ids := []string{}
			for _, e := range r.Entries {
				ids = append(ids, e.ID)
			}
			if r.Outcome != tc.outcome || fmt.Sprint(ids) != tc.entries {
				t.Errorf("%s with entries %v, want %s with %s", r.Outcome, ids, tc.outcome, tc.entries)
			}
			if s.doubts.Len() != 0 {
				t.Errorf("%d changes are still in doubt", s.doubts.Len())
			}
			if again := mustApply(t, s, tc.claim); again.Outcome != job.OutcomeDuplicate || len(again.Entries) != 0 {
				t.Errorf("once more: %+v", again)
			}
		})
	}
}

// While Firestore stays away, what is in doubt stays known.
func TestApply_DoubtOutlastsFailedReads(t *testing.T) {
	t.Parallel()
	db := newMemory()
	db.onCommit = func(int) fault { return fault{err: status.Error(codes.Unavailable, "down"), done: true} }
	db.onGet = func(n int) error {
		if n == 2 {
			return status.Error(codes.Unavailable, "down")
		}
		return nil
	}
	s := testStore(db)
	for range 2 {
		if _, err := s.Apply(t.Context(), claim(job.StateRunning, 1)); err == nil {
			t.Fatal("no error")
		}
	}
	if r := mustApply(t, s, claim(job.StateRunning, 1)); r.Outcome != job.OutcomeApplied || len(r.Entries) != 1 {
		t.Errorf("result %+v, want the change with its entry", r)
	}
}

func TestApply_Errors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		db   func(*memory)
		obs  func(*job.Observation)
		want resilience.Category
		text string
	}{
		{"read_unavailable", func(m *memory) { m.onGet = func(int) error { return status.Error(codes.Unavailable, "down") } }, nil,
			resilience.CategoryDependency, "apply a claim to job j: read record j: "},
		{"commit_unavailable", failCommits(codes.Unavailable), nil, resilience.CategoryDependency, "commit record j: "},
		{"commit_exhausted", failCommits(codes.ResourceExhausted), nil, resilience.CategoryDependency, "commit record j: "},
		{"commit_denied", failCommits(codes.PermissionDenied), nil, resilience.CategoryDependency, "commit record j: "},
		{"commit_unknown", failCommits(codes.Unknown), nil, resilience.CategoryDependency, "commit record j: "},
		{"commit_too_large", failCommits(codes.InvalidArgument), nil, resilience.CategoryPermanent, "commit record j: "},
		{"contended", failCommits(codes.Aborted), nil, resilience.CategoryRetryable, "the record kept changing in 12 tries"},
		{"no_id", nil, func(o *job.Observation) { o.JobID = "" }, resilience.CategoryPermanent, "a job id is"},
		{"id_is_a_path", nil, func(o *job.Observation) { o.JobID = "a/b" }, resilience.CategoryPermanent, "a job id is"},
		{"id_is_reserved", nil, func(o *job.Observation) { o.JobID = "__x__" }, resilience.CategoryPermanent, "a job id is"},
		{"id_is_dots", nil, func(o *job.Observation) { o.JobID = ".." }, resilience.CategoryPermanent, "a job id is"},
		{"uid_is_no_text", nil, func(o *job.Observation) { o.Kubernetes.UID = "\xff" }, resilience.CategoryPermanent, "not UTF-8"},
		{"name_is_huge", nil, func(o *job.Observation) { o.Kubernetes.Name = strings.Repeat("x", 1<<20) }, resilience.CategoryPermanent, "too long"},
		{"record_of_a_newer_release", func(m *memory) { putStatus(m, "state", "PAUSED") }, nil, resilience.CategoryRetryable, "newer release"},
		{"record_is_broken", func(m *memory) { putStatus(m, "state", int64(1)) }, nil, resilience.CategoryPermanent, "merge.status.state"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db, o := newMemory(), claim(job.StateRunning, 1)
			if tc.db != nil {
				tc.db(db)
			}
			if tc.obs != nil {
				tc.obs(o)
			}
			reg := prometheus.NewRegistry()
			s := testStore(db, WithRegisterer(reg))
			_, err := s.Apply(t.Context(), o)
			if err == nil || resilience.CategoryOf(err) != tc.want || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v (%s), want %s with %q", err, resilience.CategoryOf(err), tc.want, tc.text)
			}
			if got := testutil.ToFloat64(s.metrics.applies.WithLabelValues("error")); got != 1 {
				t.Errorf("errors counted: %v", got)
			}
		})
	}
}

func failCommits(code codes.Code) func(*memory) {
	return func(m *memory) {
		m.onCommit = func(int) fault { return fault{err: status.Error(code, "no")} }
	}
}

func putStatus(m *memory, field string, value any) {
	fields := Fields(&job.Record{JobID: "j"}, &testMeta)
	setPath(fields, []string{"merge", "status", field}, value)
	m.docs["jobs/j"] = document{id: "j", exists: true, fields: fields, updateTime: epoch}
}

func TestApply_BuilderErrorCommitsNothing(t *testing.T) {
	t.Parallel()
	db := newMemory()
	broken := errors.New("cannot build")
	s := testStore(db, WithOutbox(func(_, _ *job.Record, _ int64) ([]Entry, error) { return nil, broken }))
	if _, err := s.Apply(t.Context(), claim(job.StateRunning, 1)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, commits := db.counts(); commits != 0 {
		t.Errorf("%d commits", commits)
	}
}

// A call that hangs is cut off, and that is Firestore's fault; a caller that
// leaves is nobody's.
func TestApply_Deadlines(t *testing.T) {
	t.Parallel()
	db := newMemory()
	db.onCommit = func(int) fault { return fault{hang: true} }
	_, err := testStore(db, WithTimeout(time.Millisecond)).Apply(t.Context(), claim(job.StateRunning, 1))
	if resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("cut off: %v is %s", err, resilience.CategoryOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = testStore(newMemory()).Apply(ctx, claim(job.StateRunning, 1))
	if resilience.CategoryOf(err) != resilience.CategoryRetryable || err == nil {
		t.Errorf("cancelled: %v is %s", err, resilience.CategoryOf(err))
	}
}

// When Firestore hangs, claims that wait for their turn on one job must not
// each wait for the deadline after that.
func TestApply_WaitersLearnOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		db.onCommit = func(int) fault { return fault{hang: true} }
		s := newStore(db, WithTimeout(2*time.Second))
		begin := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := s.Apply(t.Context(), claim(job.StateRunning, i))
				if resilience.CategoryOf(err) != resilience.CategoryDependency {
					t.Errorf("claim %d: %v is %s", i, err, resilience.CategoryOf(err))
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("20 claims took %s", took)
		}
		db.onCommit = nil
		if r := mustApply(t, s, claim(job.StateRunning, 30)); r.Outcome != job.OutcomeApplied {
			t.Errorf("after the outage: %+v", r)
		}
	})
}

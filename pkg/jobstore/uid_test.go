package jobstore

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// inKubernetes is a claim about job id, whose Kubernetes Job has that UID.
func inKubernetes(id, uid string, second int) *job.Observation {
	o := claim(job.StateRunning, second)
	o.JobID = id
	o.Kubernetes = job.Kubernetes{
		Cluster: "c", Namespace: "n", Name: id, UID: uid, CreatedAt: epoch.Add(time.Duration(second) * time.Second),
	}
	return o
}

// uidBench is a store of its own process on shared documents, with a clock.
type uidBench struct {
	*Store
	db  *memory
	now time.Time
}

func newUIDBench(db *memory, opts ...Option) *uidBench {
	b := &uidBench{db: db, now: epoch}
	b.Store = testStore(db, append(opts, WithClock(func() time.Time { return b.now }))...)
	return b
}

// cost runs fn and returns how many gets and queries it made.
func (b *uidBench) cost(fn func()) (gets, finds int) {
	b.db.mu.Lock()
	gets, finds = b.db.gets, b.db.finds
	b.db.mu.Unlock()
	fn()
	b.db.mu.Lock()
	defer b.db.mu.Unlock()
	return b.db.gets - gets, b.db.finds - finds
}

func (b *uidBench) search(t *testing.T, uid string) (Stored, error) {
	t.Helper()
	return b.FindByUID(t.Context(), uid)
}

func TestFindByUID_CostsNothingForARecordInMemory(t *testing.T) {
	t.Parallel()
	b := newUIDBench(newMemory())
	mustApply(t, b.Store, inKubernetes("j", "u-1", 0))
	gets, finds := b.cost(func() {
		stored, err := b.search(t, "u-1")
		if err != nil || stored.Record.JobID != "j" || stored.Meta.Revision != 1 {
			t.Errorf("found %+v, error %v", stored, err)
		}
	})
	if gets != 0 || finds != 0 {
		t.Errorf("%d gets and %d queries", gets, finds)
	}
	b.now = b.now.Add(2 * time.Minute) // the record is no longer in memory, its id is
	gets, finds = b.cost(func() {
		if _, err := b.search(t, "u-1"); err != nil {
			t.Error(err)
		}
	})
	if gets != 1 || finds != 0 {
		t.Errorf("a minute later: %d gets and %d queries", gets, finds)
	}
}

// The job of another process costs one query, and the claim that follows nothing
// but its commit.
func TestFindByUID_AsksOnceForWhatOthersWrote(t *testing.T) {
	t.Parallel()
	db := newMemory()
	mustApply(t, testStore(db), inKubernetes("j", "u-1", 0))
	b := newUIDBench(db)
	gets, finds := b.cost(func() {
		for range 3 {
			if stored, err := b.search(t, "u-1"); err != nil || stored.Record.JobID != "j" {
				t.Errorf("found %+v, error %v", stored, err)
			}
		}
		mustApply(t, b.Store, inKubernetes("j", "u-1", 5))
	})
	if gets != 0 || finds != 1 {
		t.Errorf("%d gets and %d queries", gets, finds)
	}
}

func TestFindByUID_UnknownIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	b := newUIDBench(newMemory())
	unknown := func() {
		t.Helper()
		if _, err := b.search(t, "u-1"); !errors.Is(err, ErrUnknownUID) {
			t.Errorf("error %v", err)
		}
	}
	if _, finds := b.cost(func() { unknown(); unknown() }); finds != 1 {
		t.Errorf("%d queries for two Events", finds)
	}
	b.now = b.now.Add(unknownUIDAge)
	if _, finds := b.cost(unknown); finds != 1 {
		t.Errorf("%d queries after its time", finds)
	}
	// What this process writes counts at once.
	mustApply(t, b.Store, inKubernetes("j", "u-1", 0))
	if _, err := b.search(t, "u-1"); err != nil {
		t.Error(err)
	}
	if _, err := b.search(t, ""); !errors.Is(err, ErrUnknownUID) {
		t.Errorf("no UID at all: error %v", err)
	}
}

func TestFindByUID_AJobThatMovedOnIsNotFound(t *testing.T) {
	t.Parallel()
	db := newMemory()
	b := newUIDBench(db)
	mustApply(t, b.Store, inKubernetes("j", "u-1", 0))
	mustApply(t, b.Store, inKubernetes("j", "u-2", 5))
	for _, s := range []*uidBench{b, newUIDBench(db)} {
		if _, err := s.search(t, "u-1"); !errors.Is(err, ErrUnknownUID) {
			t.Errorf("the life before: error %v", err)
		}
		if stored, err := s.search(t, "u-2"); err != nil || stored.Record.JobID != "j" {
			t.Errorf("the present life: %+v, error %v", stored, err)
		}
	}
}

func TestFindByUID_TwoRecordsOfOneJobAreNobodys(t *testing.T) {
	t.Parallel()
	db := newMemory()
	b := newUIDBench(db)
	mustApply(t, b.Store, inKubernetes("j", "u-1", 0))
	mustApply(t, b.Store, inKubernetes("k", "u-1", 0))
	other := newUIDBench(db)
	for _, s := range []*uidBench{b, other} {
		for range 2 {
			if _, err := s.search(t, "u-1"); !errors.Is(err, ErrAmbiguousUID) {
				t.Errorf("error %v", err)
			}
		}
	}
	if got := testutil.ToFloat64(other.metrics.uids.WithLabelValues(uidAmbiguous)); got != 2 {
		t.Errorf("counted %v times", got)
	}
}

// A record in memory from before it named the Kubernetes Job hides it from no
// search, neither the first nor the next.
func TestFindByUID_FindsPastAnOlderRecord(t *testing.T) {
	t.Parallel()
	db := newMemory()
	a := newUIDBench(db)
	created := inKubernetes("j", "", 0)
	created.Kubernetes = job.Kubernetes{}
	mustApply(t, a.Store, created)
	mustApply(t, testStore(db), inKubernetes("j", "u-1", 5))
	gets, finds := a.cost(func() {
		for range 3 {
			if stored, err := a.search(t, "u-1"); err != nil || stored.Record.Kubernetes.UID != "u-1" {
				t.Errorf("found %+v, error %v", stored, err)
			}
		}
	})
	if gets != 0 || finds != 1 {
		t.Errorf("%d gets and %d queries", gets, finds)
	}
}

func TestFindByUID_Faults(t *testing.T) {
	t.Parallel()
	db := newMemory()
	mustApply(t, testStore(db), inKubernetes("j", "u-1", 0))
	db.onFind = func() error { return status.Error(codes.Unavailable, "down") }
	b := newUIDBench(db)
	if _, err := b.search(t, "u-1"); resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("error %v", err)
	}
	db.onFind = nil
	if _, err := b.search(t, "u-1"); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	db.docs["jobs/j"].fields["merge"].(map[string]any)["status"] = "?"
	if _, err := newUIDBench(db).search(t, "u-1"); !resilience.IsPermanent(err) {
		t.Errorf("a record that cannot be read: %v", err)
	}
}

func TestFindByUID_ManyAtOnceAskOnce(t *testing.T) {
	t.Parallel()
	db := newMemory()
	for i := range 10 {
		id := fmt.Sprintf("j-%d", i)
		mustApply(t, testStore(db), inKubernetes(id, "u-"+id, 0))
	}
	b := newUIDBench(db)
	_, finds := b.cost(func() {
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if _, err := b.FindByUID(t.Context(), fmt.Sprintf("u-j-%d", i%10)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	if finds != 10 {
		t.Errorf("%d queries for 10 UIDs", finds)
	}
}

func TestUIDIndex_IsBounded(t *testing.T) {
	t.Parallel()
	x := newUIDIndex(time.Now)
	for i := range 2 * maxUIDs {
		x.learn(fmt.Sprint(i), "j")
		x.missed(fmt.Sprint("m", i))
	}
	if x.jobs.Len() != maxUIDs || x.unknown.Len() != maxUnknownUIDs {
		t.Errorf("%d and %d entries", x.jobs.Len(), x.unknown.Len())
	}
}

func TestRecent_ReadsOnceAMinute(t *testing.T) {
	t.Parallel()
	db := newMemory()
	mustApply(t, testStore(db), inKubernetes("j", "u-1", 0))
	b := newUIDBench(db)
	gets, _ := b.cost(func() {
		for range 3 {
			if stored, found, err := b.Recent(t.Context(), "j"); err != nil || !found || stored.Record.JobID != "j" {
				t.Errorf("found %v %+v, error %v", found, stored, err)
			}
		}
	})
	if gets != 1 {
		t.Errorf("%d gets", gets)
	}
	if _, found, err := b.Recent(t.Context(), "k"); err != nil || found {
		t.Errorf("a job that nobody knows: found %v, error %v", found, err)
	}
	if _, _, err := b.Recent(t.Context(), "a/b"); !resilience.IsPermanent(err) {
		t.Errorf("a path: error %v", err)
	}
}

// What another process wrote within the minute is found by who misses it, at the
// cost of one read; from then on it is in memory.
func TestRecentWhere_ReadsPastWhatDoesNotSuit(t *testing.T) {
	t.Parallel()
	db := newMemory()
	a, b := newUIDBench(db), testStore(db)
	created := inKubernetes("j", "", 0)
	created.Kubernetes = job.Kubernetes{}
	mustApply(t, a.Store, created)
	mustApply(t, b, inKubernetes("j", "u-1", 5))
	asked := 0
	of := func(uid string) func(*job.Record) bool {
		return func(r *job.Record) bool { asked++; return r.Kubernetes.UID == uid }
	}
	find := func(uid, want string) {
		t.Helper()
		stored, found, err := a.RecentWhere(t.Context(), "j", of(uid))
		if err != nil || !found || stored.Record.Kubernetes.UID != want {
			t.Errorf("found %v %+v, error %v", found, stored.Record, err)
		}
	}
	if gets, _ := a.cost(func() { find("", "") }); gets != 0 {
		t.Errorf("%d gets for what is in memory", gets)
	}
	if gets, _ := a.cost(func() { find("u-1", "u-1"); find("u-1", "u-1") }); gets != 1 {
		t.Errorf("%d gets for what another process wrote", gets)
	}
	// What nobody wrote is looked for once each time, and the record comes all the same.
	if gets, _ := a.cost(func() { find("u-2", "u-1") }); gets != 1 || asked != 4 {
		t.Errorf("%d gets, asked %d times", gets, asked)
	}
	// The claim that follows meets the record as it is.
	if r := mustApply(t, a.Store, inKubernetes("j", "u-1", 9)); r.Tries != 1 {
		t.Errorf("%d tries", r.Tries)
	}
}

package jobstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestDue_PagesInOrderOfTheirTime(t *testing.T) {
	t.Parallel()
	db := newMemory()
	now := epoch
	s := testStore(db, WithShards(1), WithClock(func() time.Time { return now }))
	var want []string
	for i := range 7 {
		now = epoch.Add(time.Duration(i/2) * time.Minute) // some at one moment
		o := claim(job.StateRunning, 1)
		o.JobID, o.Kubernetes.UID = fmt.Sprintf("j-%d", i), fmt.Sprint("u", i)
		if i == 3 {
			o.State, o.Evidence = job.StateSucceeded, job.EvidenceCondition
		} else if i < 6 {
			want = append(want, o.JobID)
		}
		mustApply(t, s, o)
	}
	db.docs["jobs/j-1"].fields["state"] = "ANY" // the top is never read back
	db.docs["jobs/j-4"].fields["merge"] = int64(1)
	want = slices.Delete(want, 3, 4)
	until := epoch.Add(150 * time.Second)
	var got []string
	var unreadable int
	var after *DueCursor
	for pages := 0; ; pages++ {
		page, err := s.Due(t.Context(), 0, until, after, 2)
		if err != nil || pages > 4 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for i := range page.Records {
			got = append(got, page.Records[i].Record.JobID)
		}
		unreadable += len(page.Unreadable)
		if after = page.Next; after == nil {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || unreadable != 1 {
		t.Errorf("%d unreadable, due (-want +got):\n%s", unreadable, diff)
	}
	if page, err := s.Due(t.Context(), 1, until, nil, 2); err != nil || len(page.Records) > 0 || page.Next != nil {
		t.Errorf("another shard: %+v, %v", page, err)
	}
	if _, err := s.Due(t.Context(), 0, until, nil, 0); err == nil {
		t.Error("a page of none")
	}
	// The records are in memory now: to change one needs no read.
	gets, _ := db.counts()
	o := claim(job.StateSuspended, 30)
	o.JobID, o.Kubernetes.UID = "j-0", "u0"
	mustApply(t, s, o)
	if again, _ := db.counts(); again != gets {
		t.Errorf("%d reads", again-gets)
	}
}

func TestMissing_ReadsOneForThirty(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	ids := make([]string, 70)
	for i := range ids {
		ids[i] = fmt.Sprintf("j-%02d", i)
		if i == 42 {
			continue
		}
		if _, err := db.carryOut([]write{{kind: writeSet, collection: collectionJobs, id: ids[i], fields: map[string]any{}}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Missing(t.Context(), ids)
	if diff := cmp.Diff([]string{"j-42"}, got); diff != "" || err != nil || db.counted != 3 {
		t.Errorf("%v, %d counts, missing (-want +got):\n%s", err, db.counted, diff)
	}
	if got, err := s.Missing(t.Context(), nil); len(got) > 0 || err != nil {
		t.Errorf("of none: %v, %v", got, err)
	}
	if _, err := s.Missing(t.Context(), []string{"a/b"}); err == nil {
		t.Error("a path as id was taken")
	}
}

func TestNewestPhase_LeavesOutWhatIsNoSignOfLife(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	if _, found, err := s.NewestPhase(t.Context(), "j"); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	put := func(id string, source job.Source, minute int) {
		t.Helper()
		if _, err := db.carryOut([]write{{kind: writeSet, collection: CollectionPhases("j"), id: id, fields: map[string]any{
			PhaseFieldName: id, PhaseFieldSource: job.SourceName(source), PhaseFieldOccurredAt: epoch.Add(time.Duration(minute) * time.Minute),
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	put("load", resiliencyv1.Source_SOURCE_SDK, 1)
	put("train", resiliencyv1.Source_SOURCE_SDK, 2)
	put("judged", resiliencyv1.Source_SOURCE_RECOVERY_JOB, 3)
	put("died", resiliencyv1.Source_SOURCE_DLQ_HANDLER, 4)
	got, found, err := s.NewestPhase(t.Context(), "j")
	if want := (Phase{At: epoch.Add(2 * time.Minute), Name: "train"}); got != want || !found || err != nil || db.queries != 2 {
		t.Errorf("got %+v, found %v, %v, %d queries", got, found, err, db.queries)
	}
	db.docs[CollectionPhases("j")+"/train"].fields[PhaseFieldName] = int64(1)
	if _, _, err := s.NewestPhase(t.Context(), "j"); err == nil {
		t.Error("a phase of another form was read")
	}
	if _, _, err := s.NewestPhase(t.Context(), "a/b"); err == nil {
		t.Error("a path as id was taken")
	}
}

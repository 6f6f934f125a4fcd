//go:build integration

package runs_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
)

func TestStore_SaveAndLast(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "runs-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s := runs.New(c, 20*time.Second)
	if _, found, err := s.Last(t.Context(), "main"); found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	last := runs.Run{
		ID: "b", State: runs.StateCut, Cluster: "main", StartedAt: at.Add(time.Hour), UpdatedAt: at, Token: 2,
		Counts: map[string]int64{"looked": 3}, Reasons: map[string]int64{"GONE": 1}, Error: "out of time",
		Cursors: map[string]runs.Cursor{"3": {CheckAfter: at, JobID: "j"}},
	}
	for _, r := range []runs.Run{
		{ID: "a", State: runs.StateDone, Cluster: "main", StartedAt: at}, last,
		{ID: "c", State: runs.StateRunning, Cluster: "other", StartedAt: at.Add(2 * time.Hour)},
	} {
		for range 2 {
			if err := s.Save(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, found, err := s.Last(t.Context(), "main")
	last.ExpireAt = last.StartedAt.Add(30 * 24 * time.Hour)
	if diff := cmp.Diff(last, got); diff != "" || !found || err != nil {
		t.Errorf("found %v, %v, last (-want +got):\n%s", found, err, diff)
	}
	if err := s.Save(t.Context(), &runs.Run{ID: "a/b"}); err == nil {
		t.Error("a path as id was taken")
	}
}

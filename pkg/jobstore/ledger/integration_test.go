//go:build integration

package ledger

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

func TestIntegration_SumsOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "ledger-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s := New(c, 30*time.Second, nil)
	epoch := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, sum := range []Sum{
		{ID: "a-1", Level: "fine", Bucket: epoch, Data: []byte("old")}, {ID: "a-1", Level: "fine", Bucket: epoch, Data: []byte("1")},
		{ID: "b-1", Level: "fine", Bucket: epoch, Data: []byte("2")}, {ID: "a-2", Level: "fine", Bucket: epoch.Add(time.Hour), Data: []byte("3")},
		{ID: "a-3", Level: "coarse", Bucket: epoch}, {ID: "a-4", Level: "fine", Bucket: epoch.Add(2 * time.Hour)},
	} {
		if err := s.Save(t.Context(), &sum); err != nil {
			t.Fatal(err)
		}
	}
	sums, complete, err := s.Read(t.Context(), "fine", epoch, epoch.Add(2*time.Hour))
	if err != nil || !complete || len(sums) != 3 || sums[0].ID != "a-2" || string(sums[0].Data) != "3" {
		t.Errorf("%+v, complete %v, %v", sums, complete, err)
	}
	for _, bad := range []Sum{{ID: "a/b"}, {ID: "x", Data: make([]byte, MaxData+1)}} {
		if err := s.Save(t.Context(), &bad); !resilience.IsPermanent(err) {
			t.Errorf("sum %q: %v", bad.ID, err)
		}
	}
}

package jobstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
)

// Whatever the order, the repeats and the number of processes: the stored
// record is the pure fold of all claims, and each revision sent one entry.
func TestApply_EqualsThePureFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var claims []*job.Observation
		for range rapid.IntRange(1, 12).Draw(t, "claims") {
			claims = append(claims, drawObservation(t))
		}
		shuffled := rapid.Permutation(append(claims, claims...)).Draw(t, "order")
		db := newMemory()
		stores := []*Store{testStore(db), testStore(db, WithWriter("w2")), testStore(db, WithCache(0, 0), WithWriter("w3"))}
		var all sync.WaitGroup
		for i, s := range stores {
			all.Go(func() {
				for j, o := range shuffled {
					if (i+j)%2 == 0 {
						continue
					}
					if _, err := s.Apply(context.Background(), o); err != nil {
						t.Errorf("apply: %v", err)
					}
				}
			})
		}
		all.Wait()
		want := job.Record{}
		for _, o := range claims {
			want.Apply(o)
		}
		got, _, err := stores[0].Get(context.Background(), "j")
		if err != nil {
			t.Fatal(err)
		}
		if !want.Equal(got.Record) {
			t.Fatalf("record is not the fold (-want +got):\n%s", cmp.Diff(&want, got.Record))
		}
		for revision := range got.Meta.Revision {
			if _, ok := db.docs[fmt.Sprintf("outbox/j-%d", revision+1)]; !ok {
				t.Errorf("revision %d sent nothing", revision+1)
			}
		}
		if n := len(db.ids(collectionOutbox)); int64(n) != got.Meta.Revision {
			t.Errorf("%d entries for %d revisions", n, got.Meta.Revision)
		}
	})
}

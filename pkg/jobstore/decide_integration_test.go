//go:build integration

package jobstore_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
)

func running(jobID string) *job.Observation {
	return &job.Observation{
		EventID: uuid.NewString(), JobID: jobID, Attempt: 1, OccurredAt: epoch, Source: 1, Kind: job.KindStatus,
		Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, State: job.StateRunning,
	}
}

func TestEmulator_DueMissingAndPhases(t *testing.T) {
	t.Parallel()
	c := client(t)
	now := epoch
	s := store(c, "w", jobstore.WithShards(2), jobstore.WithClock(func() time.Time { return now }))
	ids := make([]string, 40)
	for i := range ids {
		now = epoch.Add(time.Duration(i/4) * time.Minute)
		ids[i] = fmt.Sprintf("j-%02d", i)
		if i == 17 {
			continue
		}
		o := running(ids[i])
		if i%5 == 0 {
			o.State, o.Evidence = job.StateSucceeded, job.EvidenceCondition
		}
		if _, err := s.Apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for shard := range 2 {
		last := time.Time{}
		for after := (*jobstore.DueCursor)(nil); ; {
			page, err := s.Due(t.Context(), shard, epoch.Add(5*time.Minute), after, 3)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Records {
				r := &page.Records[i]
				if seen[r.Record.JobID]++; r.Meta.CheckAfter.Before(last) || r.Meta.Shard != int64(shard) {
					t.Errorf("%s out of order", r.Record.JobID)
				}
				last = r.Meta.CheckAfter
			}
			if after = page.Next; after == nil {
				break
			}
		}
	}
	want := map[string]int{}
	for i := range 24 {
		if i%5 != 0 && i != 17 {
			want[ids[i]] = 1
		}
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	missing, err := s.Missing(t.Context(), ids)
	if diff := cmp.Diff([]string{"j-17"}, missing); diff != "" || err != nil {
		t.Errorf("%v, missing (-want +got):\n%s", err, diff)
	}
	for i, source := range []string{"SDK", "SDK", "RECOVERY_JOB"} {
		if _, err := c.Collection(jobstore.CollectionPhases("j-01")).Doc(fmt.Sprint(i)).Set(t.Context(), map[string]any{
			jobstore.PhaseFieldName: fmt.Sprint("p", i), jobstore.PhaseFieldSource: source,
			jobstore.PhaseFieldOccurredAt: epoch.Add(time.Duration(i) * time.Minute),
		}); err != nil {
			t.Fatal(err)
		}
	}
	phase, found, err := s.NewestPhase(t.Context(), "j-01")
	if phase.Name != "p1" || !phase.At.Equal(epoch.Add(time.Minute)) || !found || err != nil {
		t.Errorf("newest phase %+v, found %v, %v", phase, found, err)
	}
}

// Many decide on one record as it was read: one of them holds, with what it
// sends, and a claim that comes meanwhile is never overwritten.
func TestEmulator_OneDecisionHolds(t *testing.T) {
	t.Parallel()
	c := client(t)
	if _, err := store(c, "w").Apply(t.Context(), running("j")); err != nil {
		t.Fatal(err)
	}
	var held, moved atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := store(c, fmt.Sprint("w", i))
			on, _, err := s.Get(t.Context(), "j")
			if err != nil {
				t.Error(err)
				return
			}
			if on.Meta.Revision > 1 {
				moved.Add(1)
				return
			}
			o := running("j")
			o.State, o.Evidence, o.OccurredAt = job.StateFailed, job.EvidenceAssumed, epoch.Add(time.Hour)
			_, err = s.Decide(t.Context(), &jobstore.Decision{
				On: on, Claims: []job.Observation{*o}, Resume: &jobstore.Resume{Attempt: 1, Until: epoch},
				Entries: []jobstore.Entry{{ID: "command", Topic: "job-commands", Type: "t", Payload: []byte("p")}},
			})
			switch {
			case err == nil:
				held.Add(1)
			case errors.Is(err, jobstore.ErrMoved):
				moved.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, _, err := store(c, "r").Get(t.Context(), "j")
	if held.Load() != 1 || moved.Load() != 7 || err != nil || got.Meta.Revision != 2 || got.Meta.Recovery.Resumes != 1 {
		t.Errorf("%d held, %d moved, %v, meta %+v", held.Load(), moved.Load(), err, got.Meta)
	}
}

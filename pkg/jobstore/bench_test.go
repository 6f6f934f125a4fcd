//go:build integration

package jobstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
)

// BenchmarkApply measures changes of state a second, beside a bare commit with
// a precondition of the same documents. It needs an emulator and is only
// meaningful as a ratio; `make bench` makes the measured comparison.
func BenchmarkApply(b *testing.B) {
	for _, workers := range []int{16, 64} {
		b.Run(fmt.Sprintf("store_%d", workers), func(b *testing.B) { benchStore(b, workers) })
		b.Run(fmt.Sprintf("bare_%d", workers), func(b *testing.B) { benchBare(b, workers) })
	}
}

func benchClient(b *testing.B) *firestore.Client {
	c, err := jobstore.NewClient(context.Background(), "bench-"+uuid.NewString()[:8], "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

var benchRun atomic.Int64

// spread runs b.N steps on so many workers, each on a job of its own.
func spread(b *testing.B, workers int, step func(jobID string, n int)) {
	run := benchRun.Add(1)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := 0; left.Add(-1) >= 0; n++ {
				step(fmt.Sprintf("b%d-%d", run, w), n)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func change(jobID string, n int) *job.Observation {
	states := []job.State{job.StateRunning, job.StateSuspended}
	return &job.Observation{
		EventID: "e", JobID: jobID, Attempt: 1, Source: 1, OccurredAt: epoch.Add(time.Duration(n) * time.Second),
		Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, Owner: "ann", Tenant: "vision", CorrelationID: "r-1",
		Kubernetes: job.Kubernetes{Cluster: "c", Namespace: "n", Name: jobID, UID: "u-" + jobID, CreatedAt: epoch},
		Kind:       job.KindStatus, State: states[n%2], Generation: int64(n),
	}
}

func benchStore(b *testing.B, workers int) {
	s := store(benchClient(b), "bench")
	spread(b, workers, func(jobID string, n int) {
		if r, err := s.Apply(context.Background(), change(jobID, n)); err != nil || r.Tries != 1 {
			b.Errorf("%d tries, error %v", r.Tries, err)
		}
	})
}

func benchBare(b *testing.B, workers int) {
	c := benchClient(b)
	var mu sync.Mutex
	last := map[string]time.Time{}
	spread(b, workers, func(jobID string, n int) {
		r := job.Of(change(jobID, n))
		fields := jobstore.Fields(&r, &jobstore.Meta{Revision: int64(n + 1), UpdatedAt: epoch, CheckAfter: epoch, UpdatedBy: "bench"})
		doc := c.Collection("jobs").Doc(jobID)
		batch := c.Batch() //nolint:staticcheck // as in the store
		mu.Lock()
		at, known := last[jobID]
		mu.Unlock()
		if known {
			updates := make([]firestore.Update, 0, len(fields))
			for k, v := range fields {
				updates = append(updates, firestore.Update{Path: k, Value: v})
			}
			batch.Update(doc, updates, firestore.LastUpdateTime(at))
		} else {
			batch.Create(doc, fields)
		}
		batch.Create(c.Collection("outbox").Doc(fmt.Sprintf("%s-%d", jobID, n+1)), map[string]any{
			"topic": "job-updates", "type": "test.Update", "payload": []byte("RUNNING>SUSPENDED"),
			"attributes": map[string]any{"job_id": jobID}, "created_at": epoch,
		})
		results, err := batch.Commit(context.Background())
		if err != nil {
			b.Error(err)
			return
		}
		mu.Lock()
		last[jobID] = results[0].UpdateTime
		mu.Unlock()
	})
}

//go:build integration

package search

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
)

const (
	jobs   = 300
	shards = 16
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func newStore(t *testing.T) (*Store, *prometheus.Registry) {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "search-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	fill(t, c)
	reg := prometheus.NewRegistry()
	return New(c, shards, 30*time.Second, reg), reg
}

func id(i int) string { return fmt.Sprintf("j-%03d", i) }

// fill writes records as jobstore does, each newer than the one before; every third
// in pairs of one moment.
func fill(t *testing.T, c *firestore.Client) {
	t.Helper()
	states := []job.State{job.StateRunning, job.StateFailed, job.StateSucceeded}
	batch := c.Batch() //nolint:staticcheck // as the store itself writes
	for i := range jobs {
		record := job.Of(&job.Observation{
			JobID: id(i), Attempt: 1, Stage: []string{"backend", "kubernetes"}[i%2], Ordinal: int32(10 + 20*(i%2)), Kind: job.KindStatus,
			OccurredAt: epoch, Owner: fmt.Sprintf("owner-%d", i%5), Tenant: fmt.Sprintf("t-%d", i%4), State: states[i%3], Evidence: job.EvidenceStated,
			Cause: job.CauseDetail{Cause: job.CauseOOM},
		})
		at := epoch.Add(time.Duration(i-i%3/2) * time.Second)
		batch.Set(c.Collection("jobs").Doc(id(i)), jobstore.Fields(&record, &jobstore.Meta{
			Revision: 1, UpdatedAt: at, CheckAfter: at, Shard: jobstore.ShardOf(id(i), shards),
		}))
	}
	if _, err := batch.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// all pages through a search.
func all(t *testing.T, s *Store, f Filter, limit int) []Row {
	t.Helper()
	var rows []Row
	for cursor := (*Cursor)(nil); ; {
		page, err := s.Find(t.Context(), f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) > limit {
			t.Fatalf("a page of %d", len(page.Rows))
		}
		rows = append(rows, page.Rows...)
		if cursor = page.Next; cursor == nil {
			return rows
		}
	}
}

func TestIntegration_Find(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	cases := map[string]struct {
		f    Filter
		want func(i int) bool
	}{
		"all":        {Filter{}, func(int) bool { return true }},
		"state":      {Filter{State: "FAILED"}, func(i int) bool { return i%3 == 1 }},
		"combined":   {Filter{State: "FAILED", Owner: "owner-2", Stage: "kubernetes", Cause: "OOM"}, func(i int) bool { return i%3 == 1 && i%5 == 2 && i%2 == 1 }},
		"tenant":     {Filter{Tenants: []string{"t-1"}}, func(i int) bool { return i%4 == 1 }},
		"tenants":    {Filter{Tenants: []string{"t-1", "t-3"}, State: "RUNNING"}, func(i int) bool { return i%2 == 1 && i%3 == 0 }},
		"no_tenant":  {Filter{Tenants: []string{}}, func(int) bool { return false }},
		"time":       {Filter{From: epoch.Add(30 * time.Second), To: epoch.Add(60 * time.Second)}, func(i int) bool { return i-i%3/2 >= 30 && i-i%3/2 < 60 }},
		"nobody":     {Filter{Owner: "nobody"}, func(int) bool { return false }},
		"id":         {Filter{JobID: "j-007"}, func(i int) bool { return i == 7 }},
		"id_tenant":  {Filter{JobID: "j-007", Tenants: []string{"t-1"}}, func(int) bool { return false }},
		"prefix":     {Filter{Prefix: "j-1"}, func(i int) bool { return i >= 100 && i < 200 }},
		"prefix_and": {Filter{Prefix: "j-1", State: "FAILED"}, func(i int) bool { return i >= 100 && i < 200 && i%3 == 1 }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := all(t, s, tc.f, 17)
			var got, want []string
			for i, row := range rows {
				got = append(got, row.JobID)
				if i > 0 && !tc.f.byID() && before(&rows[i], &rows[i-1]) {
					t.Errorf("%s comes after %s", row.JobID, rows[i-1].JobID)
				}
			}
			for i := range jobs {
				if tc.want(i) {
					want = append(want, id(i))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

// A page costs little, and never more than its size and one for each shard.
func TestIntegration_Reads(t *testing.T) {
	t.Parallel()
	s, reg := newStore(t)
	if _, err := s.Find(t.Context(), Filter{}, nil, 50); err != nil {
		t.Fatal(err)
	}
	if n := reads(t, reg); n > 150 {
		t.Errorf("a page of 50 cost %v reads", n)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Find(canceled, Filter{}, nil, 50); err == nil {
		t.Error("a search that was given up succeeded")
	}
}

func reads(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "resiliency_store_reads_total" })
	return families[i].GetMetric()[0].GetCounter().GetValue()
}

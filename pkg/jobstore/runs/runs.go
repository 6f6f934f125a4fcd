// Package runs keeps a record of every run of recovery-job: recovery_runs/{id}
// says when it ran, what came of it and where it stopped.
//
// It never judges, and nothing depends on a run's record but where the next run
// begins: without it, that begins at the beginning.
package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Collection holds the runs.
const Collection = "recovery_runs"

// keep is how long a run's record is kept.
const keep = 30 * 24 * time.Hour

// States of a run.
const (
	// StateRunning is that of a run that goes on, or that was killed.
	StateRunning = "RUNNING"
	// StateDone has looked at all that was due.
	StateDone = "DONE"
	// StateCut has not, for want of time or because it was told to.
	StateCut = "CUT"
	// StateFailed could not go on.
	StateFailed = "FAILED"
)

// Run is one run. Times are UTC.
type Run struct {
	ID       string `firestore:"-"`
	State    string `firestore:"state"`
	Cluster  string `firestore:"cluster"`
	Instance string `firestore:"instance"`
	Version  string `firestore:"version"`
	// Token is that of the lease that it ran under.
	Token     int64     `firestore:"token"`
	StartedAt time.Time `firestore:"started_at"`
	UpdatedAt time.Time `firestore:"updated_at"`
	// EndedAt is zero while it runs.
	EndedAt time.Time `firestore:"ended_at,omitempty"`
	// Counts are how many jobs it looked at, and what came of them, by name.
	Counts map[string]int64 `firestore:"counts"`
	// Reasons are how many verdicts had each reason.
	Reasons map[string]int64 `firestore:"reasons"`
	// Silent says why nothing was concluded from silence; "" if it could be.
	Silent string `firestore:"pipeline_silent"`
	// Error is why it failed or was cut.
	Error string `firestore:"error"`
	// Cursors are where it stopped in each shard that it did not finish, by the
	// number of the shard. A run for one job or one rule keeps those of the run
	// before.
	Cursors map[string]Cursor `firestore:"cursors"`
	// ExpireAt is when Firestore may delete it.
	ExpireAt time.Time `firestore:"expire_at"`
}

// Cursor is a place in a shard's due records.
type Cursor struct {
	CheckAfter time.Time `firestore:"check_after"`
	JobID      string    `firestore:"job_id"`
}

// Store keeps runs. It is safe for concurrent use.
type Store struct {
	client  *firestore.Client
	timeout time.Duration
}

// New returns a store on a Firestore client, which stays the caller's to close.
func New(client *firestore.Client, timeout time.Duration) *Store {
	return &Store{client: client, timeout: timeout}
}

// Save writes the run over what was there. Errors are those of
// jobstore.ClassifyCommit.
func (s *Store) Save(ctx context.Context, r *Run) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ref := s.client.Collection(Collection).Doc(r.ID)
	if ref == nil {
		return resilience.Permanent(fmt.Errorf("save run %q: that is no id", r.ID))
	}
	r.ExpireAt = r.StartedAt.Add(keep)
	if _, err := ref.Set(ctx, r); err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, jobstore.ClassifyCommit(err))
	}
	return nil
}

// Last returns the latest run for a cluster; found is false when there is none.
func (s *Store) Last(ctx context.Context, cluster string) (run Run, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	docs := s.client.Collection(Collection).Where("cluster", "==", cluster).
		OrderBy("started_at", firestore.Desc).Limit(1).Documents(ctx)
	defer docs.Stop()
	snap, err := docs.Next()
	if errors.Is(err, iterator.Done) {
		return Run{}, false, nil
	}
	if err != nil {
		return Run{}, false, fmt.Errorf("find the last run for cluster %s: %w", cluster, jobstore.Classify(err))
	}
	if err := snap.DataTo(&run); err != nil {
		return Run{}, false, fmt.Errorf("read run %s: %w", snap.Ref.ID, err)
	}
	run.ID = snap.Ref.ID
	return run, true, nil
}

// Indexes are the composite indexes that the queries of this package need.
func Indexes() []jobstore.Index {
	return []jobstore.Index{
		{Collection: Collection, Fields: []jobstore.IndexField{{Path: "cluster"}, {Path: "started_at", Descending: true}}},
	}
}

// Exemptions are the fields that must not be indexed.
func Exemptions() []jobstore.Exemption {
	var out []jobstore.Exemption
	for _, field := range []string{"updated_at", "ended_at", "counts", "reasons", "cursors", "error", "pipeline_silent", "expire_at"} {
		out = append(out, jobstore.Exemption{Collection: Collection, Field: field})
	}
	return out
}

// TTLs are the fields by which documents expire.
func TTLs() []jobstore.TTL { return []jobstore.TTL{{Collection: Collection, Field: "expire_at"}} }

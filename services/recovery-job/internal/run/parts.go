package run

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// Records is what is read of the records.
type Records interface {
	// Due returns a page of a shard's due records.
	Due(ctx context.Context, shard int, now time.Time, after *jobstore.DueCursor, limit int) (jobstore.DuePage, error)
	// Get reads one record; found is false without one.
	Get(ctx context.Context, jobID string) (stored jobstore.Stored, found bool, err error)
	// Missing returns which of these jobs have no record.
	Missing(ctx context.Context, jobIDs []string) ([]string, error)
}

// Writer changes records.
type Writer interface {
	// Decide writes a decision on a record as it was read.
	Decide(ctx context.Context, d *jobstore.Decision) (jobstore.Result, error)
	// Postpone sets when a job is looked at next, and nothing else.
	Postpone(ctx context.Context, on *jobstore.Stored, until time.Time) error
	// Apply merges a claim into a job's record.
	Apply(ctx context.Context, o *job.Observation) (jobstore.Result, error)
}

// Journal keeps the runs themselves.
type Journal interface {
	Save(ctx context.Context, r *runs.Run) error
	// Last is the latest run for a cluster; found is false without one.
	Last(ctx context.Context, cluster string) (last runs.Run, found bool, err error)
}

// Cluster lists what carries the product's label.
type Cluster interface {
	// Labelled calls fn with each labelled Kubernetes Job; one may come twice.
	Labelled(ctx context.Context, fn func(Labelled)) error
}

// Labelled is a Kubernetes Job with the product's label.
type Labelled struct {
	JobID     string
	CreatedAt time.Time
	// Claims are all that the object says; none when it cannot be read.
	Claims []job.Observation
}

// Health tells how the pipeline is, as it was a moment ago at most.
type Health interface {
	Pipeline(ctx context.Context) judge.Pipeline
}

// Outbox takes committed entries that are to be published now; it never blocks.
type Outbox interface {
	Offer(entries []jobstore.Entry)
}

// Parts are what a run works with.
type Parts struct {
	Records Records
	// Writer is nil for a plan.
	Writer  Writer
	Journal Journal
	Cluster Cluster
	Probes  judge.Probes
	Judge   *judge.Judge
	Health  Health
	Outbox  Outbox
	// Fence is what a commit about a job must require, by the job's id.
	Fence   func(jobID string) jobstore.Fence
	Metrics *Metrics
	Now     func() time.Time
	Log     zerolog.Logger
}

// Options say what a run is for.
type Options struct {
	// RunID names the run, Cluster the cluster that it is for.
	RunID, Cluster, Instance, Version string
	// Token is that of the lease.
	Token int64
	// Shards is over how many shards records are spread.
	Shards int
	// Parallel is how many jobs are judged at once.
	Parallel int
	// Page is how many records are read at once.
	Page int
	// JudgeFor is how long jobs are judged; what is left of the context is for
	// the verdicts that waited.
	JudgeFor time.Duration
	// Limit is how many jobs are judged at most; 0 for all.
	Limit int
	// Only judges one job, whether or not it is due. Rule judges only jobs of one
	// rule.
	Only, Rule string
	// Guard bounds how many jobs fail by absence or assumption.
	Guard judge.Guard
	// MissingAfter is how old a labelled Kubernetes Job without a record must be to
	// get one: until then those whose work it is may be at it.
	MissingAfter time.Duration
	// Progress is told how many jobs were judged; nil for nobody.
	Progress func(judged int)
}

// partial reports whether the run looks at a part of the jobs on purpose.
func (o *Options) partial() bool { return o.Only != "" || o.Rule != "" }

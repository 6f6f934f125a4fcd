package web

import (
	"context"
	"errors"
	"time"

	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// ErrNotFound is wrapped by what a Reader returns where nothing at all is on
// record.
var ErrNotFound = errors.New("nothing is on record")

// Reader is where jobs are read from.
type Reader interface {
	// Search returns a page of jobs, those that changed last first. A cursor that
	// is not its own is a *web.Error.
	Search(ctx context.Context, q *Query) (Found, error)
	// Timeline returns everything about one job, as it is now.
	Timeline(ctx context.Context, jobID string) (*timeline.Timeline, error)
}

// LedgerReader is where durations are read from.
type LedgerReader interface {
	// Ledger returns how long stages and phases took within the last window.
	Ledger(ctx context.Context, window time.Duration) (*Ledger, error)
}

// Query is what jobs are asked for; what is empty is not asked for.
type Query struct {
	// Job is a job's id or its beginning; the list is then in the order of ids, and
	// From and To are zero.
	Job   string
	Owner string
	// State, Stage and Cause are as in the record.
	State, Stage, Cause string
	// From and To bound when the job changed last; To is not included.
	From, To time.Time
	// Tenants bounds the answer to these; nil means all.
	Tenants []string
	// Cursor is where the page begins, "" for the first; Limit its length.
	Cursor string
	Limit  int
}

// Found is one page of jobs. Next is the cursor of the next page, "" at the end.
type Found struct {
	Jobs []Job
	Next string
}

// Job is a job in a list.
type Job struct {
	ID, State, Stage, Cause, Owner, Tenant string
	Attempt                                int32
	Delayed                                bool
	// At is since when it has its state, UpdatedAt when its record last changed.
	At, UpdatedAt time.Time
}

// Ledger tells how long stages and phases took.
type Ledger struct {
	// From and To bound the window; what it is compared with lies before.
	From, To time.Time
	Rows     []LedgerRow
}

// LedgerRow is one phase of a stage, or with an empty Phase the whole stage.
type LedgerRow struct {
	Stage, Phase  string
	Count, Failed int64
	P50, P95, P99 time.Duration
	// Before is the 95th percentile before the window; zero when not known.
	Before time.Duration
	// Slow says that it has become slow, Why by which measure.
	Slow bool
	Why  string
}

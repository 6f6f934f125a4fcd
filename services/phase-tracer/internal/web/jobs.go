package web

import (
	"context"
	"time"

	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// Jobs is where jobs are read from; found is false where nothing is on record.
type Jobs interface {
	Timeline(ctx context.Context, jobID string) (t *timeline.Timeline, found bool, err error)
}

// Finder searches jobs; *search.Store is one.
type Finder interface {
	Find(ctx context.Context, f search.Filter, after *search.Cursor, limit int) (search.Page, error)
}

// LedgerReader is where durations are read from.
type LedgerReader interface {
	// Ledger returns how long stages and phases took within the last window.
	Ledger(ctx context.Context, window time.Duration) (*Ledger, error)
}

// Ledger tells how long stages and phases took.
type Ledger struct {
	// From and To bound the window; what it is compared with lies before.
	From, To time.Time
	// Partial says that there was more than could be summed up.
	Partial bool
	Rows    []LedgerRow
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

package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a window.
const (
	MinWindow = 10 * time.Minute
	MaxWindow = 7 * 24 * time.Hour
)

// When a phase has become slow: with at least minCount on both sides, its p95 is
// slowFactor times what it was and slowBy longer, and so is its median by half as
// much, so that one straggler is no alarm.
const (
	minCount     = 20
	slowFactor   = 1.5
	medianFactor = 1.25
	slowBy       = time.Second
)

// Report tells how long things took within a window.
type Report struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Rows are in the order of stage and phase; those that became slow come first.
	Rows []Row `json:"rows"`
	// Complete is false when there was more than could be merged.
	Complete bool `json:"complete"`
}

// Row is one phase of a stage, or with an empty Phase the whole stage.
type Row struct {
	Stage  string `json:"stage"`
	Phase  string `json:"phase"`
	Count  int64  `json:"count"`
	Failed int64  `json:"failed"`
	// Percentiles of how long it took, one percent off at most.
	P50 time.Duration `json:"p50_ns"`
	P95 time.Duration `json:"p95_ns"`
	P99 time.Duration `json:"p99_ns"`
	// Before is the p95 of the window before, 0 when it is not known.
	Before      time.Duration `json:"p95_before_ns"`
	CountBefore int64         `json:"count_before"`
	Slow        bool          `json:"slow"`
	// Why says by which measure it has become slow.
	Why string `json:"why,omitempty"`
}

// rows compares a window with the one before it.
func rows(now, before sums) []Row {
	out := make([]Row, 0, len(now))
	for r, is := range now {
		was := before[r]
		one := Row{
			Stage: r.Stage, Phase: r.Phase, Count: is.count, Failed: is.failed,
			P50: is.quantile(0.5), P95: is.quantile(0.95), P99: is.quantile(0.99), Before: was.quantile(0.95),
		}
		if was != nil {
			one.CountBefore = was.count
		}
		one.judge(was.quantile(0.5))
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Row) int {
		if a.Slow != b.Slow {
			return map[bool]int{true: -1, false: 1}[a.Slow]
		}
		return cmp.Or(strings.Compare(a.Stage, b.Stage), strings.Compare(a.Phase, b.Phase))
	})
	return out
}

func (r *Row) judge(medianBefore time.Duration) {
	if r.Count < minCount || r.CountBefore < minCount {
		return
	}
	r.Slow = float64(r.P95) >= slowFactor*float64(r.Before) && r.P95-r.Before >= slowBy &&
		float64(r.P50) >= medianFactor*float64(medianBefore)
	if r.Slow {
		r.Why = fmt.Sprintf("Its 95th percentile rose from %s to %s, its median from %s to %s.",
			short(r.Before), short(r.P95), short(medianBefore), short(r.P50))
	}
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

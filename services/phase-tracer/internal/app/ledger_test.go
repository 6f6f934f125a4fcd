package app

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/services/phase-tracer/internal/ledger"
)

// keeper is a store of sums that can read all of them, or not.
type keeper struct{ complete bool }

func (keeper) Save(context.Context, *ledger.Sum) error { return nil }

func (k keeper) Read(context.Context, string, time.Time, time.Time) ([]ledger.Sum, bool, error) {
	return nil, k.complete, nil
}

// The pages are told when a report is of a part alone.
func TestDurations_SayWhetherTheyAreWhole(t *testing.T) {
	t.Parallel()
	for _, complete := range []bool{true, false} {
		book := ledger.New(keeper{complete}, nil, time.Now, prometheus.NewRegistry(), zerolog.Nop())
		got, err := durations{book}.Ledger(t.Context(), time.Hour)
		if err != nil || got.Partial == complete {
			t.Errorf("of a complete report (%v): %+v, %v", complete, got, err)
		}
	}
}

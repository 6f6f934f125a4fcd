package app

import (
	"context"
	"time"

	kept "github.com/envision/resiliency/pkg/jobstore/ledger"
	"github.com/envision/resiliency/services/phase-tracer/internal/ledger"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

// durations gives the pages the ledger in their terms: adapters do not know each
// other.
type durations struct{ book *ledger.Book }

var _ web.LedgerReader = durations{}

// Ledger reads durations.
func (d durations) Ledger(ctx context.Context, window time.Duration) (*web.Ledger, error) {
	report, err := d.book.Report(ctx, window)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says of what
	}
	out := &web.Ledger{From: report.From, To: report.To, Partial: !report.Complete, Rows: make([]web.LedgerRow, len(report.Rows))}
	for i := range report.Rows {
		r := &report.Rows[i]
		out.Rows[i] = web.LedgerRow{
			Stage: r.Stage, Phase: r.Phase, Count: r.Count, Failed: r.Failed, P50: r.P50, P95: r.P95, P99: r.P99,
			Before: r.Before, Slow: r.Slow, Why: r.Why,
		}
	}
	return out, nil
}

// sums keeps what the ledger sums up in Firestore.
type sums struct{ store *kept.Store }

var _ ledger.Store = sums{}

// Save writes a sum.
func (s sums) Save(ctx context.Context, sum *ledger.Sum) error {
	return s.store.Save(ctx, &kept.Sum{ //nolint:wrapcheck // it says of which
		ID: sum.ID, Level: sum.Level, Bucket: sum.Bucket, Data: sum.Data, ExpireAt: sum.ExpireAt,
	})
}

// Read returns sums of all processes.
func (s sums) Read(ctx context.Context, level string, from, to time.Time) ([]ledger.Sum, bool, error) {
	all, complete, err := s.store.Read(ctx, level, from, to)
	out := make([]ledger.Sum, len(all))
	for i := range all {
		out[i] = ledger.Sum{
			ID: all[i].ID, Level: all[i].Level, Bucket: all[i].Bucket.UTC(), Data: all[i].Data, ExpireAt: all[i].ExpireAt,
		}
	}
	return out, complete, err //nolint:wrapcheck // it says of what
}

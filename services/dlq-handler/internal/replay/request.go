package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// Bounds of the rate of an operation, in letters a second.
const (
	DefaultRate = 10
	MinRate     = 0.01
	MaxRate     = 200
)

// sampleSize is how many letters a dry run shows.
const sampleSize = 10

// Preview says what a replay by filter would do now, and changes nothing.
func (e *Engine) Preview(ctx context.Context, r letters.ReplayRequest) (letters.Preview, error) {
	if err := check(&r); err != nil {
		return letters.Preview{}, err
	}
	r.Filter.State = letters.StateOpen
	matched, err := e.Letters.Count(ctx, r.Filter)
	if err != nil {
		return letters.Preview{}, fmt.Errorf("preview a replay: %w", err)
	}
	page, err := e.Letters.List(ctx, r.Filter, nil, sampleSize)
	if err != nil {
		return letters.Preview{}, fmt.Errorf("preview a replay: %w", err)
	}
	sends := matched
	if r.Limit > 0 {
		sends = min(matched, r.Limit)
	}
	return letters.Preview{
		Matched: matched, Sample: page.Letters,
		Takes: time.Duration(float64(sends) / r.Rate * float64(time.Second)).Round(time.Second),
	}, nil
}

// Start begins a replay by filter in the background; it returns once that is
// stored, so that it goes on whatever happens to this process.
func (e *Engine) Start(ctx context.Context, r letters.ReplayRequest) (letters.Operation, error) {
	if err := check(&r); err != nil {
		return letters.Operation{}, err
	}
	r.Filter.State = letters.StateOpen
	matched, err := e.Letters.Count(ctx, r.Filter)
	if err != nil {
		return letters.Operation{}, fmt.Errorf("start a replay: %w", err)
	}
	o, err := e.Letters.StartOperation(ctx, letters.Operation{
		Filter: r.Filter, Rate: r.Rate, Limit: r.Limit, By: r.By, Reason: r.Reason, Matched: matched,
	})
	if err != nil {
		return letters.Operation{}, fmt.Errorf("start a replay: %w", err)
	}
	e.Log.Info().Str("operation_id", o.ID).Str("by", o.By).Float64("rate", o.Rate).Int64("matched", o.Matched).
		Int64("limit", o.Limit).Msg("replay by filter begins")
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return o, nil
}

// check refuses what cannot be done and fills in the default rate. The error is
// permanent and wraps letters.ErrFilter.
func check(r *letters.ReplayRequest) error {
	if r.Rate == 0 {
		r.Rate = DefaultRate
	}
	switch f := &r.Filter; {
	case !(r.Rate >= MinRate && r.Rate <= MaxRate): // so written, NaN is refused too
		return refused("the rate must be from %v to %v letters a second, not %v", MinRate, MaxRate, r.Rate)
	case r.Limit < 0:
		return refused("the limit must be 0, for all, or more; not %d", r.Limit)
	case f.State != "" && f.State != letters.StateOpen:
		return refused("only open letters are replayed by filter, not %s ones", f.State)
	case len(f.Tenants) > letters.MaxTenants:
		return refused("at most %d tenants can be asked for at once, not %d", letters.MaxTenants, len(f.Tenants))
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return refused("the time from %s to %s is none", f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
	}
	return nil
}

func refused(format string, args ...any) error {
	return resilience.Permanent(fmt.Errorf("replay by filter: %w: "+format, append([]any{letters.ErrFilter}, args...)...))
}

package consume

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
)

// Records is where claims are applied.
type Records interface {
	Apply(ctx context.Context, o *job.Observation) (jobstore.Result, error)
}

// Breaker keeps calls from Firestore while it is down.
type Breaker interface {
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Outbox takes committed entries that are to be published now; it never blocks.
type Outbox interface {
	Offer(entries []jobstore.Entry)
}

// Handler handles messages. It is safe for concurrent use.
type Handler struct {
	records Records
	breaker Breaker
	outbox  Outbox
	metrics *Metrics
	now     func() time.Time
	log     zerolog.Logger
}

// New returns a handler. now is the clock that judges claims from the future.
func New(records Records, breaker Breaker, outbox Outbox, metrics *Metrics, now func() time.Time, log zerolog.Logger) *Handler {
	return &Handler{records: records, breaker: breaker, outbox: outbox, metrics: metrics, now: now, log: log}
}

// apply merges a claim into its record and hands on what is to be published.
func (h *Handler) apply(ctx context.Context, o *job.Observation) (jobstore.Result, error) {
	var result jobstore.Result
	err := h.breaker.Do(ctx, func(ctx context.Context) error {
		var err error
		result, err = h.records.Apply(ctx, o)
		return err
	})
	if err != nil {
		return jobstore.Result{}, err
	}
	h.outbox.Offer(result.Entries)
	return result, nil
}

package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Writer stores documents and returns once they are; *phases.Batcher is one.
type Writer interface {
	Add(ctx context.Context, d *phases.Document) error
}

// Tenants knows which tenant a job belongs to.
type Tenants interface {
	// Of is the tenant of a job, "" while nobody knows.
	Of(ctx context.Context, jobID string) (string, error)
	// Learn keeps what an update says.
	Learn(jobID, tenant string)
}

// Listener is told of each phase and update that was stored. It must not block and
// not change them.
type Listener interface {
	Phase(ctx context.Context, e *resiliencyv1.PhaseEvent)
	Update(ctx context.Context, u *resiliencyv1.JobUpdate)
}

// Parts are what a Handler is made of. All are required, but listeners may be none.
type Parts struct {
	Writer    Writer
	Tenants   Tenants
	TTLs      phases.TTLs
	Listeners []Listener
	Metrics   *Metrics
	Now       func() time.Time
	Log       zerolog.Logger
}

// Handler handles messages. It is safe for concurrent use.
type Handler struct{ Parts }

// New returns a handler.
func New(p Parts) *Handler { return &Handler{p} }

// HandlePhase stores a phase.
func (h *Handler) HandlePhase(ctx context.Context, e *resiliencyv1.PhaseEvent, meta messaging.Meta) error {
	outcome, err := h.phase(ctx, e, &meta)
	h.done("phase", outcome, e.GetSource(), meta.PublishTime)
	if err != nil {
		return fmt.Errorf("phase %s of job %s: %w", job.Cut(e.GetEventId(), 64), job.Cut(e.GetJobId(), 64), err)
	}
	h.Log.Debug().Ctx(ctx).Str("job_id", e.GetJobId()).Str("event_id", e.GetEventId()).Str("correlation_id", e.GetCorrelationId()).
		Str("message_id", meta.MessageID).Str("name", e.GetName()).Msg("phase stored")
	for _, l := range h.Listeners {
		l.Phase(ctx, e)
	}
	return nil
}

func (h *Handler) phase(ctx context.Context, e *resiliencyv1.PhaseEvent, meta *messaging.Meta) (string, error) {
	if err := jobevent.CheckHead(e, h.Now()); err != nil {
		return outcomeInvalid, resilience.Permanent(err)
	}
	if e.GetName() == "" {
		return outcomeInvalid, resilience.Permanent(errors.New("the phase has no name"))
	}
	told, err := h.told(ctx, e.GetJobId(), meta)
	if err != nil {
		return outcomeOf(err), err
	}
	d, err := phases.OfPhase(e, told)
	if err != nil {
		return outcomeOf(err), err //nolint:wrapcheck // HandlePhase says of which
	}
	err = h.Writer.Add(ctx, d)
	return outcomeOf(err), err //nolint:wrapcheck // HandlePhase says of which
}

// HandleUpdate stores an update that went out to the product.
func (h *Handler) HandleUpdate(ctx context.Context, u *resiliencyv1.JobUpdate, meta messaging.Meta) error {
	outcome, err := h.update(ctx, u, &meta)
	h.done("update", outcome, u.GetSource(), meta.PublishTime)
	if err != nil {
		return fmt.Errorf("update %s of job %s: %w", job.Cut(u.GetEventId(), 64), job.Cut(u.GetJobId(), 64), err)
	}
	for _, l := range h.Listeners {
		l.Update(ctx, u)
	}
	return nil
}

func (h *Handler) update(ctx context.Context, u *resiliencyv1.JobUpdate, meta *messaging.Meta) (string, error) {
	if err := jobevent.CheckHead(u, h.Now()); err != nil {
		return outcomeInvalid, resilience.Permanent(err)
	}
	if tenant := u.GetDescription().GetTenant(); tenant != "" {
		h.Tenants.Learn(u.GetJobId(), tenant)
	}
	told, err := h.told(ctx, u.GetJobId(), meta)
	if err != nil {
		return outcomeOf(err), err
	}
	d, err := phases.OfUpdate(u, told)
	if err != nil {
		return outcomeOf(err), err //nolint:wrapcheck // HandleUpdate says of which
	}
	err = h.Writer.Add(ctx, d)
	return outcomeOf(err), err //nolint:wrapcheck // HandleUpdate says of which
}

// told is when the message came, and until when it is kept. That of a job whose
// tenant nobody knows yet is kept as long as the standard says.
func (h *Handler) told(ctx context.Context, jobID string, meta *messaging.Meta) (phases.Told, error) {
	ttl := h.TTLs.Default
	if len(h.TTLs.Tenants) > 0 {
		tenant, err := h.Tenants.Of(ctx, jobID)
		if err != nil {
			return phases.Told{}, fmt.Errorf("find out its tenant: %w", err)
		}
		ttl = h.TTLs.Of(tenant)
	}
	return phases.Told{ReceivedAt: meta.PublishTime, ExpireAt: h.Now().Add(ttl)}, nil
}

func (h *Handler) done(what, outcome string, source job.Source, published time.Time) {
	h.Metrics.handled.WithLabelValues(what, sourceLabel(source), outcome).Inc()
	if outcome == outcomeStored && !published.IsZero() {
		h.Metrics.lag.WithLabelValues(what).Observe(max(h.Now().Sub(published), 0).Seconds())
	}
}

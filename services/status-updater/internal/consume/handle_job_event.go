package consume

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// HandleJobEvent applies the claim of one event. nil acks it: the claim is in
// the record, or the record knew better, or the event is of a kind that a later
// release made. An event that breaks the contract is a permanent error; when
// Firestore does not answer the error is of category dependency.
func (h *Handler) HandleJobEvent(ctx context.Context, e *resiliencyv1.JobEvent, meta messaging.Meta) error {
	begin := h.Now()
	o, err := jobevent.Decode(e, begin)
	switch {
	case errors.Is(err, jobevent.ErrUnknownEvent):
		h.Metrics.observe(outcomeUnknown, &o)
		ids(h.Log.Warn().Ctx(ctx), &o, &meta).Err(err).Msg("event of an unknown kind ignored")
		return nil
	case err != nil:
		h.Metrics.observe(outcomeInvalid, &o)
		return err
	}
	return h.merge(ctx, &o, begin, &meta)
}

// tell logs what an event did: a change for everyone, the rest for who debugs.
// ctx has the trace that the event came with.
func (h *Handler) tell(ctx context.Context, o *job.Observation, r *jobstore.Result, meta *messaging.Meta) {
	level := zerolog.DebugLevel
	switch {
	case r.Outcome == job.OutcomeCorrected:
		level = zerolog.WarnLevel
	case r.Outcome.Changed():
		level = zerolog.InfoLevel
	}
	e := h.Log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	from, to := r.Before.View(), r.After.View()
	e = ids(e.Ctx(ctx), o, meta).
		Str("outcome", r.Outcome.String()).
		Str("source", sourceLabel(o.Source)).
		Str("kind", kindLabel(o.Kind)).
		Str("from", stateName(r.Before, &from)).
		Str("to", stateName(r.After, &to)).
		Int64("revision", r.Revision).
		Int32("attempt", o.Attempt)
	if o.Kind == job.KindStatus {
		e = e.Str("state", job.StateName(o.State))
	}
	if r.Tries > 1 {
		e = e.Int("tries", r.Tries)
	}
	e.Msg(r.Outcome.String())
}

// ids adds what ties the line to the job, the event and the message.
func ids(e *zerolog.Event, o *job.Observation, meta *messaging.Meta) *zerolog.Event {
	return e.Str("job_id", o.JobID).
		Str("correlation_id", job.Cut(o.CorrelationID, job.MaxMessageBytes)).
		Str("event_id", job.Cut(o.EventID, 128)).
		Str("message_id", meta.MessageID).
		Int("delivery_attempt", meta.DeliveryAttempt)
}

// stateName is the state of a record, NONE when there was no record.
func stateName(r *job.Record, v *job.View) string {
	if r.JobID == "" {
		return "NONE"
	}
	return job.StateName(v.State)
}

func outcomeOfError(err error) string {
	if resilience.IsPermanent(err) {
		return outcomeInvalid
	}
	return outcomeError
}

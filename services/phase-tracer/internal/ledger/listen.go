package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// phaseStage is the phase that the SDK spans a whole stage with. podPrefix begins the
// phases of pods (kube.PhasePod), each of which has a name of its own; no other phase
// of Kubernetes that has a duration is named after an object.
const (
	phaseStage = "stage"
	podPrefix  = "pod "
	podPhase   = "pod"
)

// rowOf is what a phase is summed up under.
func rowOf(e *resiliencyv1.PhaseEvent) row {
	r := row{e.GetStage().GetName(), job.Cut(e.GetName(), 128)}
	switch {
	case r.Phase == phaseStage:
		r.Phase = ""
	case strings.HasPrefix(r.Phase, podPrefix):
		r.Phase = podPhase
	}
	return r
}

func keyOf(e *resiliencyv1.PhaseEvent) string {
	return fmt.Sprintf("%s\n%d\n%s\n%s\n%d", e.GetJobId(), e.GetAttempt(), e.GetStage().GetName(), job.Cut(e.GetName(), 128), e.GetSequence())
}

// end is the end of a phase with the trace that it came with.
type end struct {
	*resiliencyv1.PhaseEvent

	remote trace.SpanContext
}

// Phase counts a phase that was stored. It never blocks.
func (b *Book) Phase(ctx context.Context, e *resiliencyv1.PhaseEvent) {
	if e.GetSource() == resiliencyv1.Source_SOURCE_LOG_WITNESS {
		return
	}
	switch e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Started:
		b.queue(func(context.Context) { b.start(e) })
	case *resiliencyv1.PhaseEvent_Ended:
		came := end{e, trace.SpanContextFromContext(ctx)}
		b.queue(func(ctx context.Context) { b.end(ctx, came) })
	}
}

// Update counts the stage of a Kubernetes Job that has ended, from its creation on.
//
// An update names the last Kubernetes Job of the job, whoever ended the job: another
// stage, or a later attempt that has no Job of its own, did not take that long. So
// only what the Job itself shows of its end counts.
func (b *Book) Update(_ context.Context, u *resiliencyv1.JobUpdate) {
	created := u.GetKubernetes().GetCreatedAt()
	if !job.Terminal(u.GetState()) || !shownByJob(u) || !created.IsValid() || u.GetCorrected() != nil {
		return
	}
	b.queue(func(context.Context) {
		if b.repeated(u.GetEventId()) {
			return
		}
		b.took(row{Stage: job.StageKubernetes}, created.AsTime(), u.GetOccurredAt().AsTime(), u.GetState() == job.StateFailed)
	})
}

// shownByJob reports whether a Kubernetes Job ended the job: by its condition, or by
// being deleted.
func shownByJob(u *resiliencyv1.JobUpdate) bool {
	return u.GetStage().GetName() == job.StageKubernetes &&
		(u.GetEvidence() == job.EvidenceCondition || u.GetEvidence() == job.EvidenceDeleted)
}

func (b *Book) queue(count func(ctx context.Context)) {
	select {
	case b.in <- count:
	default:
		b.results.WithLabelValues("dropped").Inc()
	}
}

func (b *Book) repeated(id string) bool {
	if known, _ := b.counted.ContainsOrAdd(id, time.Time{}); known {
		b.results.WithLabelValues("repeated").Inc()
		return true
	}
	return false
}

func (b *Book) start(e *resiliencyv1.PhaseEvent) {
	key := keyOf(e)
	b.begun.Add(key, e.GetOccurredAt().AsTime())
	if early, ok := b.early.Get(key); ok {
		b.early.Remove(key)
		b.finish(early, e.GetOccurredAt().AsTime())
	}
}

func (b *Book) end(ctx context.Context, e end) {
	if b.repeated(e.GetEventId()) {
		return
	}
	key := keyOf(e.PhaseEvent)
	if at, ok := b.begun.Get(key); ok {
		b.begun.Remove(key)
		b.finish(e, at)
		return
	}
	at, found, err := b.starts.Started(ctx, e.PhaseEvent)
	switch {
	case err != nil:
		b.results.WithLabelValues("error").Inc()
		b.log.Debug().Err(err).Str("category", string(resilience.CategoryOf(err))).Msg("start of a phase not found out")
	case found:
		b.finish(e, at)
	default:
		b.results.WithLabelValues("unpaired").Inc() // until its start comes here
		b.early.Add(key, e)
	}
}

func (b *Book) finish(end end, begun time.Time) {
	for _, tell := range b.finished {
		tell(end.remote, end.PhaseEvent, begun)
	}
	failed := end.GetEnded().GetOutcome() == resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED
	b.took(rowOf(end.PhaseEvent), begun, end.GetOccurredAt().AsTime(), failed)
}

func (b *Book) took(r row, from, to time.Time, failed bool) {
	if to.Before(from) {
		b.results.WithLabelValues("negative").Inc()
		return
	}
	b.note(r, to, to.Sub(from), failed)
}

package jobs

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Job is one run of a job, as far as this process works on it. It is safe for
// use by many goroutines; a nil one does nothing.
type Job struct {
	client *Client
	spec   Spec
	// inPod says that Kubernetes, and not this process, tells how the job ends.
	inPod bool
	// span is the trace that the job was created or joined in.
	span trace.SpanContext

	mu    sync.Mutex
	stage Stage
	// entered is the phase of the stage that this process is in; nil outside.
	entered *Phase
	// last is the time of the newest event: a clock that is set back must not
	// put what happened later first.
	last time.Time
	// phases counts the phases that this process has begun.
	phases int64
}

func (c *Client) newJob(ctx context.Context, spec Spec) (*Job, error) {
	if spec.Attempt == 0 {
		spec.Attempt = 1
	}
	if spec.Stage == (Stage{}) {
		spec.Stage = Backend()
	}
	if err := spec.check(); err != nil {
		return nil, err
	}
	return &Job{client: c, spec: spec, stage: spec.Stage.safe(), span: trace.SpanContextFromContext(ctx)}, nil
}

// Ref names the run, for the product to pass to the next process.
func (j *Job) Ref() Ref {
	if j == nil {
		return Ref{}
	}
	ref := Ref{JobID: j.spec.ID, Attempt: j.spec.Attempt, CorrelationID: j.spec.CorrelationID}
	ref.TraceParent, ref.TraceState = traceTexts(j.span)
	return ref
}

// Enter says that the job is in a stage, and ends the stage that this process
// was in. The stage of a Kubernetes Job is entered once the Job is made: what
// becomes of it, the cluster tells. Inside a pod every other stage is a step of the
// timeline: the Job's own condition ends the job, and would be stale beside a claim
// about a later stage.
func (j *Job) Enter(ctx context.Context, stage Stage) {
	if j == nil {
		return
	}
	span := j.spanOf(ctx)
	j.leave(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)
	stage = stage.safe()
	j.mu.Lock()
	j.stage = stage
	j.mu.Unlock()
	if stage.Kubernetes != (KubernetesJob{}) && !j.inPod {
		// Handed over: whether it runs is not for this process to say.
		j.claim(span, &resiliencyv1.JobStatusObserved{State: job.StatePending})
		j.note(span, phaseHandedOver, "", nil)
		return
	}
	if !j.inPod || stage.runsAsJob() {
		j.claim(span, &resiliencyv1.JobStatusObserved{State: job.StateRunning})
	}
	entered := j.begin(span, phaseStage)
	j.mu.Lock()
	other := j.entered // of a call at the same time
	j.entered = entered
	j.mu.Unlock()
	other.end(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)
}

// Done says that the stage ended well and the job goes on in another, which a
// later Enter, here or elsewhere, names.
func (j *Job) Done(ctx context.Context) {
	if j == nil {
		return
	}
	span := j.spanOf(ctx)
	j.leave(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)
	if !j.inPod {
		j.claim(span, &resiliencyv1.JobStatusObserved{State: job.StateRunning, StageDone: true})
	}
}

// Succeed says that the whole job ended well. Inside a pod it is a step of the
// timeline: the condition of the Kubernetes Job ends the job.
func (j *Job) Succeed(ctx context.Context) {
	if j == nil {
		return
	}
	span := j.spanOf(ctx)
	j.leave(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)
	if j.inPod {
		j.note(span, phaseSucceeded, "", nil)
		return
	}
	j.claim(span, &resiliencyv1.JobStatusObserved{State: job.StateSucceeded, Evidence: job.EvidenceStated})
}

// Fail says that the whole job failed. Inside a pod it is a step of the
// timeline: the Kubernetes Job may run the pod again.
func (j *Job) Fail(ctx context.Context, cause Cause) {
	if j == nil {
		return
	}
	span, detail := j.spanOf(ctx), cause.proto()
	j.leave(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, detail)
	if j.inPod {
		j.note(span, phaseFailed, detail.GetMessage(), detail)
		return
	}
	j.claim(span, &resiliencyv1.JobStatusObserved{
		State: job.StateFailed, Evidence: job.EvidenceStated, Cause: detail, Detail: detail.GetMessage(),
	})
}

// Cancel says that the job was cancelled because somebody wished it: in whatever
// stage it is, nothing that a stage says later counts. Inside a pod it does nothing.
func (j *Job) Cancel(ctx context.Context, reason string) {
	if j == nil || j.inPod {
		return
	}
	span, cause := j.spanOf(ctx), Cause{Kind: job.CauseUser, Message: reason}.proto()
	j.leave(span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_CANCELLED, cause)
	j.client.send(j.observed(span, Stage{Ordinal: job.OrdinalWholeJob}, &resiliencyv1.JobStatusObserved{
		State: job.StateCancelled, Evidence: job.EvidenceStated, Cause: cause, Detail: cause.GetMessage(),
	}))
}

// Phase begins a step. Names are few and fixed, such as "load-model": what
// varies belongs into Progress or into the log. ctx only tells the trace.
func (j *Job) Phase(ctx context.Context, name string) *Phase {
	if j == nil {
		return nil
	}
	return j.begin(j.spanOf(ctx), name)
}

// leave ends the phase of the stage, if the process is in one.
func (j *Job) leave(span trace.SpanContext, outcome resiliencyv1.PhaseOutcome, cause *resiliencyv1.CauseDetail) {
	j.mu.Lock()
	entered := j.entered
	j.entered = nil
	j.mu.Unlock()
	entered.end(span, outcome, cause)
}

// spanOf is the span that a call is made in, or else that of the job.
func (j *Job) spanOf(ctx context.Context) trace.SpanContext {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		return span
	}
	return j.span
}

// maxStepBack is how far a clock may be set back with the order of events kept.
// One that had been further ahead would else hold all that follows in a future
// that readers refuse.
const maxStepBack = time.Minute

// now is the time of an event: later than that of every one before it, and as
// precise as records are.
func (j *Job) now() time.Time {
	at := j.client.now().UTC().Truncate(job.Precision)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !at.After(j.last) && j.last.Sub(at) <= maxStepBack {
		at = j.last.Add(job.Precision)
	}
	j.last = at
	return at
}

func (c *Client) now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.cfg.Now()
}

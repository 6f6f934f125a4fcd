package jobs

import (
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// progressEvery is the time between two reports on one phase: a loop may report
// each of a million frames, and a reader sees no more than this.
const progressEvery = time.Second

// Names of the phases that the SDK itself makes.
const (
	phaseStage      = "stage"
	phaseCreated    = "job.created"
	phaseHandedOver = "job.handed-over"
	phaseSucceeded  = "job.pod-succeeded"
	phaseFailed     = "job.pod-failed"
)

// maxPhaseName bounds the name of a phase, in bytes.
const maxPhaseName = 128

// Phase is a step that has begun. It is safe for use by many goroutines; a nil
// one does nothing. What is called after its end is ignored.
type Phase struct {
	job      *Job
	stage    Stage
	span     trace.SpanContext
	name     string
	sequence int64

	mu    sync.Mutex
	ended bool
	// reported is when progress was last reported, reports how often; unsaid is
	// the newest that was held back.
	reported time.Time
	reports  int64
	unsaid   *resiliencyv1.PhaseProgressed
}

// begin starts a phase in the stage that the job is in.
func (j *Job) begin(span trace.SpanContext, name string) *Phase {
	p := j.step(span, name)
	p.send(span, "start", &resiliencyv1.PhaseEvent{Event: &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}})
	return p
}

// step gives a phase its name and sequence, and says nothing of it.
func (j *Job) step(span trace.SpanContext, name string) *Phase {
	if name = job.Cut(name, maxPhaseName); name == "" {
		name = "unnamed"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	p := &Phase{job: j, stage: j.stage, span: span, name: name, sequence: j.client.sequence(j.phases)}
	j.phases++
	return p
}

// note tells of a moment.
func (j *Job) note(span trace.SpanContext, name, message string, cause *resiliencyv1.CauseDetail) {
	noted := &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_INFO, Cause: cause}
	if cause != nil {
		noted.Level = resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR
	}
	p := j.step(span, name)
	if name == phaseCreated {
		p.sequence = 0 // whoever says so, and however often: a job is created once
	}
	noted.Kubernetes = p.stage.Kubernetes.proto()
	p.send(span, "note", &resiliencyv1.PhaseEvent{Message: message, Event: &resiliencyv1.PhaseEvent_Noted{Noted: noted}})
}

// Progress tells how far the phase is: done of total, in units such as "frames";
// total is 0 when unknown. It may be called as often as one likes: a second of
// it is one event, and the last word is always sent. A done that is no number is
// ignored.
func (p *Phase) Progress(done, total float64, unit string) {
	if p == nil || math.IsNaN(done) || math.IsInf(done, 0) {
		return
	}
	if math.IsNaN(total) || math.IsInf(total, 0) {
		total = 0
	}
	progress := &resiliencyv1.PhaseProgressed{Done: max(done, 0), Total: max(total, 0), Unit: job.Cut(unit, job.MaxIDBytes)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	now := p.job.client.now()
	if since := now.Sub(p.reported); !p.reported.IsZero() && since >= 0 && since < progressEvery {
		p.unsaid = progress
		return
	}
	p.reported = now
	p.report(progress)
}

func (p *Phase) report(progress *resiliencyv1.PhaseProgressed) {
	p.unsaid = nil
	p.send(p.span, "progress", &resiliencyv1.PhaseEvent{Event: &resiliencyv1.PhaseEvent_Progressed{Progressed: progress}}, p.reports)
	p.reports++
}

// End says that the phase did what it was for.
func (p *Phase) End() {
	if p != nil {
		p.end(p.span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)
	}
}

// Fail says that the phase failed. The job may try again; that it is over, only
// Job.Fail says.
func (p *Phase) Fail(cause Cause) {
	if p != nil {
		p.end(p.span, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, cause.proto())
	}
}

func (p *Phase) end(span trace.SpanContext, outcome resiliencyv1.PhaseOutcome, cause *resiliencyv1.CauseDetail) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.unsaid != nil {
		p.report(p.unsaid)
	}
	p.send(span, "end", &resiliencyv1.PhaseEvent{
		Message: cause.GetMessage(),
		Event:   &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{Outcome: outcome, Cause: cause}},
	})
}

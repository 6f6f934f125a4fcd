// Package fact holds what the service carries from the watch to Pub/Sub: one
// claim or one phase, with the little that queue, log and metrics need of it.
//
// It is pure. It never reads an object of Kubernetes (pkg/kube does) and knows
// no topic (pkg/messaging does).
package fact

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// The kinds of facts, as metrics and logs name them.
const (
	KindStatus   = "status"
	KindCause    = "cause"
	KindVanished = "vanished"
	KindDelay    = "delay"
	KindPhase    = "phase"
)

// Fact is one thing to be published: an observation or a phase, never both.
// The zero value is no fact.
type Fact struct {
	observation *job.Observation
	phase       *resiliencyv1.PhaseEvent
	trace       string
}

// From takes the facts that an object made.
func From(f *kube.Facts) []Fact {
	out := make([]Fact, 0, len(f.Observations)+len(f.Phases))
	for i := range f.Observations {
		out = append(out, Fact{observation: &f.Observations[i], trace: f.TraceParent})
	}
	for _, p := range f.Phases {
		out = append(out, Fact{phase: p, trace: f.TraceParent})
	}
	return out
}

// EventID is the id of the fact, the same whenever and whoever reports it.
func (f Fact) EventID() string {
	if f.phase != nil {
		return f.phase.GetEventId()
	}
	return f.observation.EventID
}

// JobID is the product's id of the job.
func (f Fact) JobID() string {
	if f.phase != nil {
		return f.phase.GetJobId()
	}
	return f.observation.JobID
}

// CorrelationID may be empty.
func (f Fact) CorrelationID() string {
	if f.phase != nil {
		return f.phase.GetCorrelationId()
	}
	return f.observation.CorrelationID
}

// TraceParent is the W3C traceparent of the request that made the Job, as the Job
// carries it; it may be empty or anything else.
func (f Fact) TraceParent() string { return f.trace }

// Attempt is the number of the run, 1 to 100.
func (f Fact) Attempt() int32 {
	if f.phase != nil {
		return f.phase.GetAttempt()
	}
	return f.observation.Attempt
}

// OccurredAt is when the fact became true, as the object tells it.
func (f Fact) OccurredAt() time.Time {
	if f.phase != nil {
		return f.phase.GetOccurredAt().AsTime()
	}
	return f.observation.OccurredAt
}

// Key tells facts apart. The event id follows from the Kubernetes object, while
// label and attempt can be edited afterwards: the claim is then another one.
func (f Fact) Key() string {
	return f.EventID() + "/" + f.JobID() + "/" + strconv.Itoa(int(f.Attempt()))
}

// Kind is one of the constants above.
func (f Fact) Kind() string {
	if f.phase != nil {
		return KindPhase
	}
	switch f.observation.Kind {
	case job.KindStatus:
		return KindStatus
	case job.KindCause:
		return KindCause
	case job.KindVanished:
		return KindVanished
	default:
		return KindDelay
	}
}

// Label says in a word what the fact claims: the state, the cause or the name
// of the phase.
func (f Fact) Label() string {
	switch f.Kind() {
	case KindPhase:
		return f.phase.GetName()
	case KindCause:
		return job.CauseName(f.observation.Cause.Cause)
	case KindVanished:
		return job.StateName(f.observation.LastState)
	default:
		return job.StateName(f.observation.State)
	}
}

// Ends reports whether the fact is a state that ends the job or its stage.
func (f Fact) Ends() bool {
	return f.observation != nil && f.observation.Kind == job.KindStatus && job.Terminal(f.observation.State)
}

// Waits reports whether the fact is to be held back for a moment, as what mostly
// follows within it can say both: a cause goes with the end that it explains, and
// that a Job may go on again with that it runs.
func (f Fact) Waits() bool { return f.observation != nil && (f.Kind() == KindCause || f.goesOnAgain()) }

// goesOnAgain: the spec of a new Job has generation 1, and what changes in it is
// whether it is suspended.
func (f Fact) goesOnAgain() bool {
	return f.Kind() == KindStatus && f.observation.State == job.StatePending && f.observation.Generation > 1
}

// With returns the fact so that it says also what a fact that waits does; false
// when it cannot, and both are to be said. A cause changes an end only if it tells
// more than the end by itself.
func (f Fact) With(waiting Fact) (both Fact, ok bool) {
	if f.Kind() != KindStatus || !waiting.Waits() || f.JobID() != waiting.JobID() || f.Attempt() != waiting.Attempt() {
		return f, false
	}
	if waiting.goesOnAgain() {
		again := f.observation.State == job.StateRunning && f.observation.Generation >= waiting.observation.Generation
		return f, again || f.Ends()
	}
	if !f.Ends() || f.observation.State == job.StateSucceeded {
		return f, false
	}
	if job.Specificity(waiting.observation.Cause.Cause) <= job.Specificity(f.observation.Cause.Cause) {
		return f, true
	}
	o := *f.observation
	o.Cause = waiting.observation.Cause
	return Fact{observation: &o, trace: f.trace}, true
}

// Message is the fact as it goes on the wire.
func (f Fact) Message() proto.Message {
	if f.phase != nil {
		return f.phase
	}
	return jobevent.Encode(f.observation)
}

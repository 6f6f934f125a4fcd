package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// message is any message that the SDK sends.
type message interface {
	proto.Message
	jobevent.Head
}

// event is a message on its way.
type event struct {
	msg  message
	span trace.SpanContext
}

// claim is the message as a claim about the job's state; nil when it is a phase.
func (e event) claim() *resiliencyv1.JobEvent {
	claim, _ := e.msg.(*resiliencyv1.JobEvent)
	return claim
}

// eventID is the id of a fact in the SDK: over job, attempt, stage, state or
// name of the phase, what became of it, and its number.
func (s *Spec) eventID(stage Stage, name, what string, numbers ...int64) string {
	parts := []string{s.ID, strconv.Itoa(int(s.Attempt)), stage.Name, name, what}
	for _, n := range numbers {
		parts = append(parts, strconv.FormatInt(n, 10))
	}
	return job.EventID(parts...)
}

// Sequences begin at a number of the instance's own, so that the phases of two
// pods of one Job have neither ids nor sequences in common: 33 bits of it above
// 20 for counting, together what a float64 still holds.
const countBits = 20

func sequenceBase(instance string) int64 {
	sum := sha256.Sum256([]byte(instance))
	return int64(binary.BigEndian.Uint64(sum[:8])>>(64-33)) << countBits
}

func (c *Client) sequence(n int64) int64 {
	if c == nil {
		return n
	}
	return c.base + n
}

// created is the first claim about the job.
func (j *Job) created() event {
	e := j.observed(j.span, j.stage, &resiliencyv1.JobStatusObserved{State: job.StatePending})
	e.claim().Description = jobevent.Description(j.spec.Owner, j.spec.Tenant, j.spec.OutputURI)
	return e
}

// claim sends what this process knows of the job's state, in the stage that it is in.
func (j *Job) claim(span trace.SpanContext, status *resiliencyv1.JobStatusObserved) {
	j.mu.Lock()
	stage := j.stage
	j.mu.Unlock()
	j.client.send(j.observed(span, stage, status))
}

func (j *Job) observed(span trace.SpanContext, stage Stage, status *resiliencyv1.JobStatusObserved) event {
	at := j.now()
	name := job.StateName(status.GetState())
	if status.GetStageDone() {
		name = "STAGE_DONE"
	}
	e := &resiliencyv1.JobEvent{
		EventId: j.spec.eventID(stage, name, "state", 0), OccurredAt: timestamppb.New(at),
		JobId: j.spec.ID, Attempt: j.spec.Attempt, Stage: stage.proto(), CorrelationId: j.spec.CorrelationID,
		Source: resiliencyv1.Source_SOURCE_SDK, Reporter: j.client.reporter(),
		Kubernetes: stage.Kubernetes.proto(),
		Event:      &resiliencyv1.JobEvent_StatusObserved{StatusObserved: status},
	}
	return event{msg: e, span: span}
}

// send gives an event of the phase its head and hands it over. more are numbers
// behind the sequence, where one phase has several events of a kind.
func (p *Phase) send(span trace.SpanContext, what string, e *resiliencyv1.PhaseEvent, more ...int64) {
	j := p.job
	e.EventId = j.spec.eventID(p.stage, p.name, what, append([]int64{p.sequence}, more...)...)
	e.OccurredAt = timestamppb.New(j.now())
	e.JobId, e.Attempt, e.Stage, e.CorrelationId = j.spec.ID, j.spec.Attempt, p.stage.proto(), j.spec.CorrelationID
	e.Source, e.Reporter = resiliencyv1.Source_SOURCE_SDK, j.client.reporter()
	e.Name, e.Sequence = p.name, p.sequence
	j.client.send(event{msg: e, span: span})
}

func (c *Client) send(e event) {
	if c != nil && c.sender != nil {
		c.sender.send(e)
	}
}

func (c *Client) reporter() string {
	if c == nil {
		return ""
	}
	return job.Cut(c.cfg.Reporter, maxName)
}

func (s Stage) proto() *resiliencyv1.Stage {
	return &resiliencyv1.Stage{Name: s.Name, Ordinal: s.Ordinal}
}

func (k KubernetesJob) proto() *resiliencyv1.KubernetesRef {
	// Without the creation time the UID is no life of its own (the SDK speaks for
	// the stage), so what the watchers say of the Job always ranks higher.
	return jobevent.KubernetesRef(&job.Kubernetes{Cluster: k.Cluster, Namespace: k.Namespace, Name: k.Name, UID: k.UID})
}

// traceTexts spells a span context as the W3C does.
func traceTexts(span trace.SpanContext) (parent, state string) {
	texts := map[string]string{}
	messaging.AddTrace(messaging.WithTrace(context.Background(), span), texts)
	return texts[messaging.AttributeTraceParent], texts[messaging.AttributeTraceState]
}

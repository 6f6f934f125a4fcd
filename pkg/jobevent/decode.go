package jobevent

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// MaxAhead is how far in the future a claim may lie: more than any clock skew,
// and little enough that a wrong date cannot hold a job for long.
const MaxAhead = 10 * time.Minute

// maxNameBytes bounds the names and uids of Kubernetes objects, as Kubernetes does.
const maxNameBytes = 253

// ErrUnknownEvent says that the event is of a kind that a later release made.
// It is no fault: the reader acks it and counts it.
var ErrUnknownEvent = errors.New("the event is of a kind that this release does not know")

// Decode checks a JobEvent and gives the claim that it makes. now is the
// reader's clock, against which the future is judged. Errors are permanent,
// except ErrUnknownEvent.
func Decode(e *resiliencyv1.JobEvent, now time.Time) (job.Observation, error) {
	o, err := decodeHead(e, now)
	if err != nil {
		return o, resilience.Permanent(fmt.Errorf("decode event %s of job %s: %w", job.Cut(e.GetEventId(), 64), job.Cut(e.GetJobId(), 64), err))
	}
	if err := decodeClaim(&o, e); err != nil {
		err = fmt.Errorf("decode event %s of job %s: %w", o.EventID, o.JobID, err)
		if errors.Is(err, ErrUnknownEvent) {
			return o, err
		}
		return o, resilience.Permanent(err)
	}
	return o, nil
}

func decodeHead(e *resiliencyv1.JobEvent, now time.Time) (job.Observation, error) {
	if err := CheckHead(e, now); err != nil {
		return job.Observation{}, err
	}
	k, err := decodeKubernetes(e.GetKubernetes(), now)
	if err != nil {
		return job.Observation{}, err
	}
	d := e.GetDescription()
	return job.Observation{
		EventID:       e.GetEventId(),
		OccurredAt:    e.GetOccurredAt().AsTime(),
		JobID:         e.GetJobId(),
		Attempt:       e.GetAttempt(),
		Ordinal:       e.GetStage().GetOrdinal(),
		Stage:         e.GetStage().GetName(),
		CorrelationID: e.GetCorrelationId(),
		Source:        e.GetSource(),
		Reporter:      e.GetReporter(),
		Owner:         d.GetOwner(),
		Tenant:        d.GetTenant(),
		OutputURI:     d.GetOutputUri(),
		Kubernetes:    k,
	}, nil
}

// Head is what every message of the contract begins with.
type Head interface {
	GetEventId() string
	GetOccurredAt() *timestamppb.Timestamp
	GetJobId() string
	GetAttempt() int32
	GetStage() *resiliencyv1.Stage
	GetCorrelationId() string
	GetSource() resiliencyv1.Source
	GetReporter() string
}

// CheckHead returns nil if the head keeps the contract: a job id that is a
// valid, non-empty label value, an attempt from 1 to 100, a time that is set
// and not further ahead of now than MaxAhead, and a stage that can be one.
func CheckHead(h Head, now time.Time) error {
	if err := job.CheckID(h.GetJobId()); err != nil {
		return err
	}
	if a := h.GetAttempt(); a < 1 || a > job.MaxAttempt {
		return fmt.Errorf("attempt %d is not between 1 and %d", a, job.MaxAttempt)
	}
	if h.GetStage().GetOrdinal() < 0 {
		return fmt.Errorf("the stage's ordinal %d is negative", h.GetStage().GetOrdinal())
	}
	if err := job.CheckStage(h.GetStage().GetName()); err != nil {
		return err
	}
	if h.GetOccurredAt() == nil {
		return errors.New("occurred_at is not set")
	}
	return checkTime("occurred_at", h.GetOccurredAt(), now)
}

func checkTime(field string, ts *timestamppb.Timestamp, now time.Time) error {
	if err := ts.CheckValid(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if ahead := ts.AsTime().Sub(now); ahead > MaxAhead {
		return fmt.Errorf("%s lies %s ahead, more than %s", field, ahead.Round(time.Second), MaxAhead)
	}
	return nil
}

func decodeKubernetes(ref *resiliencyv1.KubernetesRef, now time.Time) (job.Kubernetes, error) {
	if ref == nil {
		return job.Kubernetes{}, nil
	}
	k := job.Kubernetes{
		Cluster: ref.GetCluster(), Namespace: ref.GetNamespace(), Name: ref.GetName(), UID: ref.GetUid(),
	}
	for _, s := range []string{k.Cluster, k.Namespace, k.Name, k.UID} {
		if len(s) > maxNameBytes {
			return k, fmt.Errorf("a name of the Kubernetes Job has %d bytes, more than %d", len(s), maxNameBytes)
		}
	}
	if ref.GetCreatedAt() != nil {
		if err := checkTime("kubernetes.created_at", ref.GetCreatedAt(), now); err != nil {
			return k, err
		}
		k.CreatedAt = ref.GetCreatedAt().AsTime()
	}
	switch {
	case ref.StageFinal == nil:
	case ref.GetStageFinal():
		k.End = job.StageEndsJob
	default:
		k.End = job.StageGoesOn
	}
	return k, nil
}

func decodeClaim(o *job.Observation, e *resiliencyv1.JobEvent) error {
	switch c := e.GetEvent().(type) {
	case *resiliencyv1.JobEvent_StatusObserved:
		return decodeStatus(o, c.StatusObserved)
	case *resiliencyv1.JobEvent_CauseFound:
		o.Kind = job.KindCause
		o.Cause = decodeCause(c.CauseFound.GetCause())
		if o.Cause.Cause == job.CauseUnspecified {
			return errors.New("cause_found names no cause")
		}
		return nil
	case *resiliencyv1.JobEvent_Vanished:
		o.Kind = job.KindVanished
		o.LastState = c.Vanished.GetLastState()
		if !known(o.LastState) {
			o.LastState = job.StateUnspecified
		}
		return nil
	case *resiliencyv1.JobEvent_DelayChanged:
		o.Kind = job.KindDelay
		o.Delayed, o.DelayReason = c.DelayChanged.GetDelayed(), c.DelayChanged.GetReason()
		return nil
	case nil:
		if len(e.ProtoReflect().GetUnknown()) > 0 {
			return ErrUnknownEvent
		}
		return errors.New("the event claims nothing")
	default:
		return ErrUnknownEvent
	}
}

// decodeStatus refuses a state or evidence that it does not know: such a claim
// cannot be placed in the order, and among the dead letters a later release
// can still read it. A cause that it does not know still is a cause.
func decodeStatus(o *job.Observation, s *resiliencyv1.JobStatusObserved) error {
	o.Kind = job.KindStatus
	o.State, o.Evidence = s.GetState(), s.GetEvidence()
	if !known(o.State) || o.State == job.StateUnspecified {
		return fmt.Errorf("state %d is none that this release knows", o.State)
	}
	if _, ok := resiliencyv1.Evidence_name[int32(o.Evidence)]; !ok {
		return fmt.Errorf("evidence %d is none that this release knows", o.Evidence)
	}
	if job.Terminal(o.State) {
		if o.Evidence == job.EvidenceNone {
			return fmt.Errorf("state %s comes without evidence", job.StateName(o.State))
		}
		o.Cause = decodeCause(s.GetCause())
	} else {
		o.Evidence = job.EvidenceNone
	}
	if s.GetGeneration() < 0 {
		return fmt.Errorf("generation %d is negative", s.GetGeneration())
	}
	o.StageDone = s.GetStageDone() && o.State == job.StateRunning
	o.Generation = s.GetGeneration()
	o.Detail = s.GetDetail()
	return nil
}

func decodeCause(c *resiliencyv1.CauseDetail) job.CauseDetail {
	if c == nil {
		return job.CauseDetail{}
	}
	d := job.CauseDetail{
		Cause: c.GetCause(), Message: c.GetMessage(), Reason: c.GetReason(),
		Pod: c.GetPod(), Container: c.GetContainer(), Node: c.GetNode(),
	}
	if _, ok := resiliencyv1.Cause_name[int32(d.Cause)]; !ok {
		d.Cause = job.CauseOther
	}
	if c.ExitCode != nil {
		code := c.GetExitCode()
		d.ExitCode = &code
	}
	return d
}

func known(s job.State) bool {
	_, ok := resiliencyv1.JobState_name[int32(s)]
	return ok
}

package jobevent

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Encode gives the message that carries a claim. What Decode would refuse is
// encoded all the same: the reader judges. Texts are cut to their limits and
// made valid UTF-8, so that the message can be marshalled.
func Encode(o *job.Observation) *resiliencyv1.JobEvent {
	e := &resiliencyv1.JobEvent{
		EventId:       o.EventID,
		OccurredAt:    timestamp(o.OccurredAt),
		JobId:         o.JobID,
		Attempt:       o.Attempt,
		Stage:         &resiliencyv1.Stage{Name: o.Stage, Ordinal: o.Ordinal},
		CorrelationId: job.Cut(o.CorrelationID, job.MaxMessageBytes),
		Source:        o.Source,
		Reporter:      o.Reporter,
		Description:   Description(o.Owner, o.Tenant, o.OutputURI),
		Kubernetes:    KubernetesRef(&o.Kubernetes),
	}
	switch o.Kind {
	case job.KindStatus:
		e.Event = &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: o.State, Evidence: o.Evidence, StageDone: o.StageDone, Generation: o.Generation,
			Cause: Cause(&o.Cause), Detail: job.Cut(o.Detail, job.MaxDetailBytes),
		}}
	case job.KindCause:
		e.Event = &resiliencyv1.JobEvent_CauseFound{CauseFound: &resiliencyv1.JobCauseFound{Cause: Cause(&o.Cause)}}
	case job.KindVanished:
		e.Event = &resiliencyv1.JobEvent_Vanished{Vanished: &resiliencyv1.JobVanished{LastState: o.LastState}}
	case job.KindDelay:
		e.Event = &resiliencyv1.JobEvent_DelayChanged{DelayChanged: &resiliencyv1.JobDelayChanged{
			Delayed: o.Delayed, Reason: job.Cut(o.DelayReason, job.MaxMessageBytes),
		}}
	}
	return e
}

// Cause gives the message form of a cause, nil for none.
func Cause(c *job.CauseDetail) *resiliencyv1.CauseDetail {
	if c.Cause == job.CauseUnspecified {
		return nil
	}
	return &resiliencyv1.CauseDetail{
		Cause:     c.Cause,
		Message:   job.Cut(c.Message, job.MaxMessageBytes),
		Reason:    job.Cut(c.Reason, job.MaxMessageBytes),
		Pod:       c.Pod,
		Container: c.Container,
		ExitCode:  c.ExitCode,
		Node:      c.Node,
	}
}

// KubernetesRef gives the message form of a Kubernetes Job, nil for none.
func KubernetesRef(k *job.Kubernetes) *resiliencyv1.KubernetesRef {
	if *k == (job.Kubernetes{}) {
		return nil
	}
	ref := &resiliencyv1.KubernetesRef{
		Cluster: k.Cluster, Namespace: k.Namespace, Name: k.Name, Uid: k.UID, CreatedAt: timestamp(k.CreatedAt),
	}
	if k.End != job.StageEndUnknown {
		ref.StageFinal = new(k.End == job.StageEndsJob)
	}
	return ref
}

// Description gives the message form of the descriptive fields, nil for none.
func Description(owner, tenant, outputURI string) *resiliencyv1.JobDescription {
	if owner == "" && tenant == "" && outputURI == "" {
		return nil
	}
	return &resiliencyv1.JobDescription{
		Owner:     job.Cut(owner, job.MaxMessageBytes),
		Tenant:    job.Cut(tenant, job.MaxMessageBytes),
		OutputUri: job.Cut(outputURI, job.MaxMessageBytes),
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

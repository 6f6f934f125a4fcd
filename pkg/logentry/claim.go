package logentry

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Belongs reports whether the object of an Event is the record's Kubernetes Job.
// The UID alone does not say so: whoever may write Events in a namespace chooses
// it freely, but neither the namespace nor, with it, another tenant's Job.
func Belongs(o *Object, k *job.Kubernetes) bool {
	return o.UID != "" && o.UID == k.UID && o.Namespace == k.Namespace && o.Name == k.Name
}

// Claim makes of what an Event says a claim about the job of a record whose
// Kubernetes Job it is about. It is a claim about the life that the record
// knows, so that it meets those of the watchers. ok is false when the Event
// says nothing that the record can hold: a Job that completed, of which nobody
// said whether that ends the whole job.
func (s *Statement) Claim(r *job.Record) (o job.Observation, ok bool) {
	ordinal, stage := stageOf(&r.Kubernetes)
	o = job.Observation{
		OccurredAt: s.At, JobID: r.JobID, Attempt: r.Kubernetes.Attempt, Ordinal: ordinal, Stage: stage,
		CorrelationID: r.CorrelationID.Value, Source: resiliencyv1.Source_SOURCE_KUBERNETES_EVENT,
		Kubernetes: r.Kubernetes.Kubernetes, Kind: job.KindStatus,
	}
	switch s.Says {
	case SaysCompleted:
		if !s.completed(&o, r.Kubernetes.End) {
			return job.Observation{}, false
		}
	case SaysFailed:
		o.State, o.Evidence, o.Cause, o.Detail = job.StateFailed, job.EvidenceCondition, s.Cause, s.Detail
		o.EventID = eventID(&o, job.StateName(o.State))
	case SaysPodDisrupted:
		o.Kind, o.Cause = job.KindCause, s.Cause
		o.EventID = eventID(&o, "CAUSE", s.Subject, "", job.CauseName(s.Cause.Cause))
	default:
		return job.Observation{}, false
	}
	return o, true
}

func (s *Statement) completed(o *job.Observation, end job.StageEnd) bool {
	o.Detail = s.Detail
	switch end {
	case job.StageEndsJob:
		o.State, o.Evidence = job.StateSucceeded, job.EvidenceCondition
		o.EventID = eventID(o, job.StateName(o.State))
	case job.StageGoesOn:
		o.State, o.StageDone = job.StateRunning, true
		o.EventID = eventID(o, "STAGE_DONE")
	default:
		return false
	}
	return true
}

// stageOf is the stage of the record's Kubernetes Job. A statement about the whole
// job, a user's cancel, is of no stage, whatever Job it names: its rank must not
// pass to the Job.
func stageOf(k *job.KubernetesClaim) (ordinal int32, stage string) {
	if k.Ordinal == job.OrdinalWholeJob {
		return job.OrdinalKubernetes, job.StageKubernetes
	}
	return k.Ordinal, k.Stage
}

// eventID is the id that the watchers give the same fact: over cluster, UID,
// what became true, and when (see package kube).
func eventID(o *job.Observation, parts ...string) string {
	all := append([]string{o.Kubernetes.Cluster, o.Kubernetes.UID}, parts...)
	return job.EventID(append(all, job.TimePart(o.OccurredAt))...)
}

// Future reports how far ahead of now the Event claims to have happened, if
// that is more than a claim may.
func (s *Statement) Future(now time.Time, limit time.Duration) (time.Duration, bool) {
	ahead := s.At.Sub(now)
	return ahead, ahead > limit
}

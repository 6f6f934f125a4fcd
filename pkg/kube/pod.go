package kube

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
)

// Pod is what matters of a Pod that a Job owns. Like Job it carries its
// metadata, so caches take it.
type Pod struct {
	metav1.ObjectMeta

	// JobUID and JobName are those of the Job that controls the pod; empty when
	// none does.
	JobUID  types.UID
	JobName string
	Node    string
	// Index is the completion index of an Indexed Job's pod, "" for any other.
	Index string
	Phase corev1.PodPhase
	// ScheduledAt is when a node was found.
	ScheduledAt time.Time
	// StartedAt is status.startTime, when the kubelet took the pod over. A
	// container's own start would move with every restart.
	StartedAt time.Time
	// EndedAt is when the last container ended; zero while the pod lives.
	EndedAt time.Time
	// Causes is what the pod tells of failure, most telling first.
	Causes []PodCause
	// Cancelled says that the pod has ended because it was deleted while it ran, not
	// of a failure: its phase is Failed all the same.
	Cancelled bool
}

// PodCause is one cause that a pod shows.
type PodCause struct {
	job.CauseDetail
	// At is when it came about, from the object.
	At time.Time
	// Waiting says that the pod has not failed of it yet: no room, no image, no
	// configuration.
	Waiting bool
}

// ReadPod takes from a Pod what matters of it.
func ReadPod(o *corev1.Pod) *Pod {
	p := &Pod{
		ObjectMeta: slimMeta(&o.ObjectMeta),
		Node:       once(o.Spec.NodeName), Phase: once(o.Status.Phase),
		StartedAt: timeOf(o.Status.StartTime),
		Index:     text(o.Annotations[batchv1.JobCompletionIndexAnnotation], maxName),
	}
	for i := range o.OwnerReferences {
		r := &o.OwnerReferences[i]
		if r.Kind == "Job" && r.Controller != nil && *r.Controller {
			p.JobUID, p.JobName = r.UID, r.Name
		}
	}
	if c := podCondition(o, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionTrue {
		p.ScheduledAt = c.LastTransitionTime.Time
	}
	if p.Ended() {
		p.EndedAt = endOf(o)
	}
	p.Causes, p.Cancelled = causes(o, p)
	return p
}

// Ended reports whether the pod is over: it will never run again.
func (p *Pod) Ended() bool { return p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed }

// endOf is when the last container ended. A pod that its node rejected, or that
// was written off, has none: then the last change of a condition stands in.
func endOf(o *corev1.Pod) (end time.Time) {
	for _, s := range o.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil {
			end = later(end, t.FinishedAt.Time)
		}
	}
	if end.IsZero() {
		for i := range o.Status.Conditions {
			end = later(end, o.Status.Conditions[i].LastTransitionTime.Time)
		}
	}
	end = later(end, timeOf(o.Status.StartTime))
	return later(end, o.CreationTimestamp.Time)
}

func podCondition(o *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	i := slices.IndexFunc(o.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == t })
	if i < 0 {
		return nil
	}
	return &o.Status.Conditions[i]
}

// Waiting reports whether the pod waits for something that may never come: room,
// an image, configuration.
func (p *Pod) Waiting() bool {
	return slices.ContainsFunc(p.Causes, func(c PodCause) bool { return c.Waiting })
}

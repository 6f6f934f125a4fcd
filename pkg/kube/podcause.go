package kube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
)

// causes reads all that a pod tells of failure: first what was done to it as a
// whole, then its containers, then what it waits for. cancelled says that the pod
// ended of nothing but its deletion.
func causes(o *corev1.Pod, p *Pod) (found []PodCause, cancelled bool) {
	if o.Status.Phase == corev1.PodSucceeded {
		// A container that failed before, or a sidecar killed at the end, is no
		// cause of anything.
		return nil, false
	}
	r := causeReader{
		pod: p, at: later(later(p.ScheduledAt, p.StartedAt), p.CreationTimestamp.Time), deleted: deletedAt(&p.ObjectMeta),
	}
	r.whole(o)
	hit := len(r.found) > 0
	r.failed = hit
	sidecars := map[string]bool{}
	for _, c := range o.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars[c.Name] = true
		}
	}
	for i := range o.Status.InitContainerStatuses {
		s := &o.Status.InitContainerStatuses[i]
		r.container(s, hit || sidecars[s.Name])
	}
	for i := range o.Status.ContainerStatuses {
		r.container(&o.Status.ContainerStatuses[i], hit)
	}
	if c := podCondition(o, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
		r.add(job.CauseUnschedulable, c.Reason, c.Message, c.LastTransitionTime.Time, true)
	}
	return r.found, r.cancelled(o)
}

type causeReader struct {
	pod     *Pod
	at      time.Time // stands in where the object gives no time
	deleted time.Time // when deletion was asked for, zero if it was not
	found   []PodCause
	// failed says that something brought the pod down, killed that its deletion
	// ended a container.
	failed, killed bool
}

// cancelled: the kubelet gives a pod that is deleted while it runs the phase
// Failed before it is removed. A reason in the status tells of something else.
func (r *causeReader) cancelled(o *corev1.Pod) bool {
	return !r.deleted.IsZero() && r.pod.Phase == corev1.PodFailed && o.Status.Reason == "" && !r.failed &&
		(r.killed || !r.pod.EndedAt.Before(r.deleted))
}

func (r *causeReader) add(cause job.Cause, reason, message string, at time.Time, waiting bool) *PodCause {
	if at.IsZero() {
		at = r.at
	}
	r.found = append(r.found, PodCause{
		CauseDetail: job.CauseDetail{
			Cause: cause, Reason: text(reason, maxName), Message: text(message, maxMessage),
			Pod: r.pod.Name, Node: r.pod.Node,
		},
		At: at, Waiting: waiting,
	})
	return &r.found[len(r.found)-1]
}

// whole reads what was done to the pod as a whole. The kubelet says it in
// status.reason, everybody else in the condition DisruptionTarget.
func (r *causeReader) whole(o *corev1.Pod) {
	at := r.at
	d := podCondition(o, corev1.DisruptionTarget)
	if d != nil && d.Status == corev1.ConditionTrue {
		at = later(at, d.LastTransitionTime.Time)
	}
	if cause, ok := podReasons[o.Status.Reason]; ok {
		if p := r.pod; p.Ended() {
			at = p.EndedAt
		}
		r.add(cause, o.Status.Reason, o.Status.Message, at, false)
		return
	}
	if d == nil || d.Status != corev1.ConditionTrue {
		return
	}
	cause, ok := disruptions[d.Reason]
	if !ok {
		cause = job.CauseOther
	}
	r.add(cause, d.Reason, d.Message, at, false)
}

// container reads one container; only its OOM kills count where skipExit says
// that it was ended from outside, so that its exit code tells nothing.
func (r *causeReader) container(s *corev1.ContainerStatus, skipExit bool) {
	if t := s.State.Terminated; t != nil && r.terminated(s.Name, t, skipExit) {
		r.failed = true
	}
	if t := s.LastTerminationState.Terminated; t != nil {
		r.terminated(s.Name, t, skipExit)
	}
	if w := s.State.Waiting; w != nil {
		if cause, ok := waits[w.Reason]; ok {
			c := r.add(cause, w.Reason, w.Message, time.Time{}, true)
			c.Container = text(s.Name, maxName)
		}
	}
}

// terminated reports whether the end of the container is a failure.
func (r *causeReader) terminated(container string, t *corev1.ContainerStateTerminated, skipExit bool) bool {
	cause, ok := exits[t.Reason]
	switch {
	case cause == job.CauseOOM:
	case t.ExitCode == 0 || skipExit:
		return false
	case r.byDeletion(t):
		r.killed = true
		return false
	case !ok:
		cause = job.CauseAppExit
	}
	message := t.Message
	if strings.TrimSpace(message) == "" {
		message = fmt.Sprintf("container %s ended with exit code %d", container, t.ExitCode)
		if t.Reason != "" {
			message += " (" + t.Reason + ")"
		}
	}
	c := r.add(cause, t.Reason, message, t.FinishedAt.Time, false)
	code := t.ExitCode
	c.Container, c.ExitCode = text(container, maxName), &code
	return true
}

// byDeletion reports whether a container ended after its pod's deletion was asked
// for, by a suspension, with its Job or by hand: what it exits with then, 143 most
// of the time, is no failure of the application. One that nobody knows the end of
// counts so as well.
func (r *causeReader) byDeletion(t *corev1.ContainerStateTerminated) bool {
	return !r.deleted.IsZero() && (t.FinishedAt.IsZero() || !t.FinishedAt.Time.Before(r.deleted))
}

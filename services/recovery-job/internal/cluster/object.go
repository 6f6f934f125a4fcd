package cluster

import (
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/kube"
)

// Marks of a queue on a Job. Kueue suspends what it has not admitted.
const (
	queueLabel  = "kueue.x-k8s.io/queue-name"
	queuePrefix = "kueue.x-k8s.io/"
)

// object is a Kubernetes Job in compact form.
type object struct {
	*kube.Job
	// queue names the queue that admits it, "" for none.
	queue string
}

func readJob(o *batchv1.Job) *object {
	j := &object{Job: kube.ReadJob(o), queue: o.Labels[queueLabel]}
	if j.queue == "" {
		j.queue = o.Annotations[queueLabel] // of its first releases
	}
	if m := o.Spec.ManagedBy; j.queue == "" && m != nil && strings.HasPrefix(*m, queuePrefix) {
		j.queue = *m
	}
	j.queue = strings.Clone(j.queue)
	return j
}

// pod is a Pod in compact form.
type pod struct {
	*kube.Pod
	jobID string
	// gated says that a queue holds it back.
	gated bool
}

func readPod(o *corev1.Pod) *pod {
	p := &pod{Pod: kube.ReadPod(o), jobID: strings.Clone(o.Labels[kube.LabelJobID])}
	for _, g := range o.Spec.SchedulingGates {
		p.gated = p.gated || strings.HasPrefix(g.Name, queuePrefix)
	}
	return p
}

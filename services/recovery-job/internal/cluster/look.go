package cluster

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// call gives one call to the API server its own deadline. All calls of a run take
// turns (see Connect), so that of many namespaces a question as a whole takes as
// long as many others are asked at once: that says nothing about the API server.
func call[T any](ctx context.Context, within time.Duration, fn func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return fn(ctx)
}

// look asks the API server itself, not its cache, for all that it has of a job:
// by label in every namespace, and by UID where the record names one.
func (p *Prober) look(ctx context.Context, q *judge.ClusterQuery) (*view, error) {
	v := &view{blocked: map[string]string{}}
	byLabel := labels.Set{kube.LabelJobID: q.JobID}.String()
	for _, ns := range p.namespaces {
		jobs, err := call(ctx, p.cfg.Timeout, func(ctx context.Context) (*batchv1.JobList, error) {
			return p.client.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{LabelSelector: byLabel})
		})
		if err != nil {
			return nil, fmt.Errorf("list jobs of %s in namespace %s: %w", q.JobID, ns, err)
		}
		for i := range jobs.Items {
			v.addJob(&jobs.Items[i])
		}
		if err := p.pods(ctx, v, ns, byLabel); err != nil {
			return nil, err
		}
	}
	if err := p.byUID(ctx, v, q); err != nil {
		return nil, err
	}
	for _, o := range v.jobs {
		if o.needsEvents(v) {
			v.blocked[string(o.UID)] = p.blocked(ctx, o)
		}
	}
	return v, nil
}

// byUID looks for the Kubernetes Job on record by its name, since a label may
// have been taken away, and for the pods that it has left.
func (p *Prober) byUID(ctx context.Context, v *view, q *judge.ClusterQuery) error {
	if q.UID == "" || q.Namespace == "" {
		return nil
	}
	if q.Name != "" {
		o, err := call(ctx, p.cfg.Timeout, func(ctx context.Context) (*batchv1.Job, error) {
			return p.client.BatchV1().Jobs(q.Namespace).Get(ctx, q.Name, metav1.GetOptions{})
		})
		switch {
		case err == nil && string(o.UID) == q.UID:
			v.addJob(o)
		case err != nil && !notThere(err):
			return fmt.Errorf("get job %s/%s: %w", q.Namespace, q.Name, err)
		}
	}
	return p.pods(ctx, v, q.Namespace, labels.Set{batchv1.ControllerUidLabel: q.UID}.String())
}

func (p *Prober) pods(ctx context.Context, v *view, ns, selector string) error {
	pods, err := call(ctx, p.cfg.Timeout, func(ctx context.Context) (*corev1.PodList, error) {
		return p.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: selector})
	})
	if err != nil {
		return fmt.Errorf("list pods of %s in namespace %s: %w", selector, ns, err)
	}
	for i := range pods.Items {
		v.addPod(&pods.Items[i])
	}
	return nil
}

func (v *view) addJob(o *batchv1.Job) {
	for _, known := range v.jobs {
		if known.UID == o.UID {
			return
		}
	}
	v.jobs = append(v.jobs, readJob(o))
}

func (v *view) addPod(o *corev1.Pod) {
	pod := readPod(o)
	if pod.Ended() {
		return
	}
	for _, known := range v.pods {
		if known.UID == pod.UID {
			return
		}
	}
	v.pods = append(v.pods, pod)
}

// needsEvents reports whether only the Events of a Job can tell why it has no
// pods.
func (o *object) needsEvents(v *view) bool {
	if !o.podless() {
		return false
	}
	for _, p := range v.pods {
		if p.JobUID == o.UID {
			return false
		}
	}
	return true
}

// podless reports whether a Job might want pods and have none.
func (o *object) podless() bool { return !o.Ended() && !o.Suspend && !o.PodReady }

// reasonFailedCreate is that of the Event with which the Job controller says that
// it could not make a pod.
const reasonFailedCreate = "FailedCreate"

// blocked reads why the controller cannot make pods of a Job. Events are lossy and
// may not be readable: without one nothing is known, which changes no verdict.
func (p *Prober) blocked(ctx context.Context, o *object) string {
	selector := fields.Set{"involvedObject.uid": string(o.UID), "reason": reasonFailedCreate}.String()
	events, err := call(ctx, p.cfg.Timeout, func(ctx context.Context) (*corev1.EventList, error) {
		return p.client.CoreV1().Events(o.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector, Limit: p.cfg.PageSize})
	})
	if err != nil {
		p.log.Warn().Err(err).Str("namespace", o.Namespace).Str("name", o.Name).Msg("events not read; a quota that is used up stays unknown")
		return ""
	}
	newest := newestEvents{}
	for i := range events.Items {
		newest.add(&events.Items[i])
	}
	return newest.message(string(o.UID))
}

// newestEvents keeps the last word on each Job.
type newestEvents map[string]*corev1.Event

func (n newestEvents) add(e *corev1.Event) {
	uid := string(e.InvolvedObject.UID)
	if e.Reason != reasonFailedCreate {
		return
	}
	if known := n[uid]; known == nil || known.LastTimestamp.Before(&e.LastTimestamp) {
		n[uid] = &corev1.Event{Message: e.Message, LastTimestamp: e.LastTimestamp}
	}
}

func (n newestEvents) message(uid string) string {
	if e := n[uid]; e != nil {
		return e.Message
	}
	return ""
}

package cluster

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// list is what all namespaces held at one moment. It is never changed once stored.
type list struct {
	at time.Time
	// err is why it is not whole; then it answers nothing, and may be tried again
	// from then on.
	err    error
	again  time.Time
	jobs   map[string][]*object // by job id
	byUID  map[string]*object
	pods   map[string][]*pod // by job id; only those that have not ended
	events newestEvents
}

// of is the list's view of a job.
func (l *list) of(q *judge.ClusterQuery) *view {
	v := &view{jobs: l.jobs[q.JobID], pods: l.pods[q.JobID], blocked: map[string]string{}}
	if o := l.byUID[q.UID]; o != nil && o.JobID != q.JobID {
		v.jobs = append([]*object{o}, v.jobs...) // its label was changed
	}
	for _, o := range v.jobs {
		if o.needsEvents(v) {
			v.blocked[string(o.UID)] = l.events.message(string(o.UID))
		}
	}
	return v
}

// listAll lists every namespace once.
func (p *Prober) listAll(ctx context.Context) *list {
	l := &list{
		at: p.now(), jobs: map[string][]*object{}, byUID: map[string]*object{},
		pods: map[string][]*pod{}, events: newestEvents{},
	}
	for _, ns := range p.namespaces {
		if l.err = p.listNamespace(ctx, l, ns); l.err != nil {
			p.log.Error().Err(l.err).Str("namespace", ns).Msg("namespace not listed: no job is judged by the list")
			return l
		}
	}
	p.log.Debug().Int("jobs", len(l.byUID)).Int("jobs_with_pods", len(l.pods)).Msg("listed the cluster")
	return l
}

func (p *Prober) listNamespace(ctx context.Context, l *list, ns string) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ListTimeout)
	defer cancel()
	podless := false
	err := p.eachJob(ctx, ns, func(o *object) {
		l.byUID[string(o.UID)] = o
		podless = podless || o.podless()
	})
	if err != nil {
		return err
	}
	for _, o := range l.byUID {
		if o.Namespace == ns {
			l.jobs[o.JobID] = append(l.jobs[o.JobID], o)
		}
	}
	if err := p.listPods(ctx, l, ns); err != nil {
		return err
	}
	if podless {
		p.listEvents(ctx, l, ns)
	}
	return nil
}

// eachJob calls fn with every labelled Job of a namespace, in compact form, page
// by page. When the pages expire it begins again: fn may be given one twice.
func (p *Prober) eachJob(ctx context.Context, ns string, fn func(*object)) error {
	jobs := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		o.LabelSelector = kube.LabelJobID
		return p.client.BatchV1().Jobs(ns).List(ctx, o)
	}
	err := p.each(ctx, jobs, func(obj runtime.Object) {
		if o, ok := obj.(*batchv1.Job); ok {
			fn(readJob(o))
		}
	})
	if err != nil {
		return fmt.Errorf("list jobs of namespace %s: %w", ns, err)
	}
	return nil
}

// listPods keeps the pods that have not ended: they are what tells that a job
// lives, and few beside those that have.
func (p *Prober) listPods(ctx context.Context, l *list, ns string) error {
	found := map[string]*pod{}
	pods := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		o.LabelSelector = kube.LabelJobID
		return p.client.CoreV1().Pods(ns).List(ctx, o)
	}
	err := p.each(ctx, pods, func(obj runtime.Object) {
		if o, ok := obj.(*corev1.Pod); ok && o.Status.Phase != corev1.PodSucceeded && o.Status.Phase != corev1.PodFailed {
			found[string(o.UID)] = readPod(o)
		}
	})
	if err != nil {
		return fmt.Errorf("list pods of namespace %s: %w", ns, err)
	}
	for _, pod := range found {
		l.pods[pod.jobID] = append(l.pods[pod.jobID], pod)
	}
	return nil
}

// listEvents reads why pods could not be made. It may fail: see blocked.
func (p *Prober) listEvents(ctx context.Context, l *list, ns string) {
	events := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		o.FieldSelector = fields.Set{"involvedObject.kind": "Job", "reason": reasonFailedCreate}.String()
		return p.client.CoreV1().Events(ns).List(ctx, o)
	}
	err := p.each(ctx, events, func(obj runtime.Object) {
		if e, ok := obj.(*corev1.Event); ok {
			l.events.add(e)
		}
	})
	if err != nil {
		p.log.Warn().Err(err).Str("namespace", ns).Msg("events not read; a quota that is used up stays unknown")
	}
}

// listTries is how often a list is begun again when its pages expire.
const listTries = 5

// each calls fn with every object of a list.
func (p *Prober) each(ctx context.Context, page pager.ListPageFunc, fn func(runtime.Object)) error {
	var err error
	for range listTries {
		pages := pager.New(page)
		pages.PageSize = p.cfg.PageSize
		pages.PageBufferSize = 1        // one page ahead is enough, and bounds the memory
		pages.FullListIfExpired = false // all at once would not
		err = pages.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error { fn(obj); return nil })
		if !apierrors.IsResourceExpired(err) {
			break
		}
	}
	return err //nolint:wrapcheck // the caller says what was listed
}

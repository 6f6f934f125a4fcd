package watch

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/envision/resiliency/pkg/kube"
)

// onceTries is how often a list is begun again when its pages expire.
const onceTries = 5

// Once hands over all that the cluster shows now, page by page, and watches
// nothing. It is in place of Run.
func (w *Watcher) Once(ctx context.Context) error {
	for _, ns := range w.namespaces {
		err := w.each(ctx, w.jobLists(ns), func(obj runtime.Object) {
			if o, ok := obj.(*batchv1.Job); ok {
				w.onceJob(ns, o)
			}
		})
		if err != nil {
			return fmt.Errorf("list jobs of namespace %s: %w", ns, err)
		}
		err = w.each(ctx, w.podLists(ns), func(obj runtime.Object) {
			if o, ok := obj.(*corev1.Pod); ok {
				w.oncePod(o)
			}
		})
		if err != nil {
			return fmt.Errorf("list pods of namespace %s: %w", ns, err)
		}
	}
	return nil
}

// each calls fn with every object, from the beginning again when pages expire:
// what is said twice is the same.
func (w *Watcher) each(ctx context.Context, l lists, fn func(runtime.Object)) error {
	var err error
	for range onceTries {
		p := pager.New(l.list)
		p.PageSize = pageSize
		err = p.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error { fn(obj); return nil })
		if !apierrors.IsResourceExpired(err) {
			break
		}
	}
	return err //nolint:wrapcheck // the caller says what was listed
}

func (w *Watcher) onceJob(ns string, o *batchv1.Job) {
	j, ok := w.readJob(o)
	if !ok {
		return
	}
	f := w.jobs[ns] // pods look for their Job there
	f.mu.Lock()
	f.put(j)
	f.mu.Unlock()
	hand(w, resourceJobs, change[*kube.Job]{kind: added, now: j}, w.jobChanged)
}

func (w *Watcher) oncePod(o *corev1.Pod) {
	if p, ok := w.readPod(o); ok {
		hand(w, resourcePods, change[*kube.Pod]{kind: added, now: p}, w.podChanged)
	}
}

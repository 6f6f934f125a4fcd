package watch

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/envision/resiliency/pkg/kube"
)

// pageSize is how many objects a list is read in at a time, where the API
// server does not stream lists (before Kubernetes 1.34).
const pageSize = 500

// backoff is that of client-go's own loop.
func backoff() wait.Backoff {
	return wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 38, Cap: 30 * time.Second}
}

// lists is what both kinds of objects are read by.
type lists struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func (w *Watcher) jobLists(ns string) lists {
	api := w.client.BatchV1().Jobs(ns)
	return lists{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			l, err := api.List(ctx, selected(o))
			if err == nil {
				for i := range l.Items {
					slimJob(&l.Items[i])
				}
			}
			return l, err //nolint:wrapcheck // client-go tells a lost watch by it
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return api.Watch(ctx, selected(o)) //nolint:wrapcheck // as above
		},
	}
}

func (w *Watcher) podLists(ns string) lists {
	api := w.client.CoreV1().Pods(ns)
	return lists{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.List(ctx, selected(o)) //nolint:wrapcheck // as above
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return api.Watch(ctx, selected(o)) //nolint:wrapcheck // as above
		},
	}
}

func selected(o metav1.ListOptions) metav1.ListOptions {
	o.LabelSelector = kube.LabelJobID
	return o
}

// slimJob lets go of what is biggest and never read, so that a list in pages
// does not hold all pod templates at once.
func slimJob(o *batchv1.Job) {
	o.Spec.Template = corev1.PodTemplateSpec{}
	o.ManagedFields = nil
}

// errWatchEnded stands for what client-go does not tell: a watch that the API server
// ended at once and without a word.
var errWatchEnded = errors.New("the API server ended the watch without a word")

// store takes lists and changes of one stream.
type store interface {
	cache.ReflectorStore
	// asked is told before each request for a list what the watermark is.
	asked(stored uint64)
}

// reflect lists and watches one stream into its store until ctx ends: once more
// after each error, with growing delays. client-go's own loop is not used as it
// tells nobody of an error; of a watch that breaks in the middle not even the
// reflector itself does.
//
// Each list is the newest there is when it is asked for: client-go would also take one
// that is older, from a cache or from where a watch stopped. Hence a watermark read
// before, if it is above the list, tells that the cluster was restored.
func (w *Watcher) reflect(ctx context.Context, resource, ns string, l lists, expected any, store store) {
	asked := func() { store.asked(w.sink.Stored(stream(resource, ns))) }
	list := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		if o.Continue == "" {
			asked()
			o.ResourceVersion, o.ResourceVersionMatch = "", ""
		}
		return l.list(ctx, o)
	}
	var told atomic.Bool
	overheard := func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		if o.SendInitialEvents != nil && *o.SendInitialEvents { // a list that is streamed
			asked()
			o.ResourceVersion = ""
		}
		in, err := l.watch(ctx, o)
		if err != nil {
			return nil, err
		}
		return overhear(in, func(err error) {
			told.Store(true)
			w.watchError(resource, ns, err)
		}), nil
	}
	lw := cache.ToListWatcherWithWatchListSemantics(
		&cache.ListWatch{ListWithContextFunc: list, WatchFuncWithContext: overheard}, w.client)
	r := cache.NewReflectorWithOptions(lw, expected, store, cache.ReflectorOptions{Name: resource + "." + ns})
	r.WatchListPageSize = pageSize
	delay := backoff().DelayWithReset(clock.RealClock{}, 2*time.Minute)
	_ = delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := r.ListAndWatchWithContext(ctx)
		if err == nil && !told.Swap(false) {
			err = errWatchEnded
		}
		if err != nil && ctx.Err() == nil {
			w.watchError(resource, ns, err)
		}
		return false, nil
	})
}

package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/envision/resiliency/pkg/kube"
)

// trim is the informers' transform: the object becomes its compact form before
// anything is kept of it. What is compact already stays as it is, since client-go
// may transform an object of the first list twice. It never fails: client-go
// would drop the object.
func (w *Watcher) trim(obj any) (out any, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked("trim", obj, r)
			out, err = obj, nil // the handler counts what it cannot read
		}
	}()
	switch o := obj.(type) {
	case *batchv1.Job:
		return kube.ReadJob(o), nil
	case *corev1.Pod:
		return kube.ReadPod(o), nil
	default:
		return obj, nil
	}
}

// guard runs a handler and catches its panic. A panic of one object must not
// end the process: it would be listed again after every restart, and the status
// of all other jobs would stop for the sake of one. It is logged with its stack
// and counted; what the object said is lost until its next change.
func (w *Watcher) guard(where string, obj any, handle func()) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked(where, obj, r)
		}
	}()
	handle()
}

func (w *Watcher) panicked(where string, obj, value any) {
	w.metrics.panics.Inc()
	ns, name, uid := identity(obj)
	w.log.Error().Str("handler", where).Str("panic", fmt.Sprint(value)).Bytes("stack_trace", debug.Stack()).
		Str("namespace", ns).Str("name", name).Str("uid", uid).
		Msg("panic while reading an object; it is skipped until its next change")
}

// identity names an object that made a handler panic, and may do so again.
func identity(obj any) (ns, name, uid string) {
	defer func() { _ = recover() }() // a nameless object stays nameless
	if m, ok := obj.(metav1.Object); ok {
		return m.GetNamespace(), m.GetName(), string(m.GetUID())
	}
	return "", "", ""
}

// watchError counts and logs a list or watch that broke; the informer tries
// again by itself, with growing delays.
func (w *Watcher) watchError(resource, ns string) cache.WatchErrorHandlerWithContext {
	return func(_ context.Context, _ *cache.Reflector, err error) {
		reason := "other"
		switch {
		case errors.Is(err, io.EOF): // a watch that ended as it should
			return
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
			reason = "expired"
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			reason = "denied"
		}
		w.metrics.watchErrors.WithLabelValues(resource, reason).Inc()
		w.log.Warn().Err(err).Str("resource", resource).Str("namespace", ns).Str("reason", reason).
			Msg("watch broke; listing again")
	}
}

package watch

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/kube"
)

// readJob makes the compact form of a Job before anything else is kept of it.
// What is compact already stays as it is: a list may come here twice.
func (w *Watcher) readJob(obj any) (j *kube.Job, ok bool) {
	switch o := obj.(type) {
	case *kube.Job:
		return o, true
	case *batchv1.Job:
		ok = w.guard("read job", obj, func() { j = kube.ReadJob(o) })
	default:
		w.unreadable(obj)
	}
	return j, ok
}

// readPod is readJob for Pods. Those that no Job controls are not wanted.
func (w *Watcher) readPod(obj any) (p *kube.Pod, ok bool) {
	switch o := obj.(type) {
	case *kube.Pod:
		p, ok = o, true
	case *corev1.Pod:
		ok = w.guard("read pod", obj, func() { p = kube.ReadPod(o) })
	default:
		w.unreadable(obj)
	}
	return p, ok
}

func (w *Watcher) unreadable(obj any) {
	w.metrics.ignored.WithLabelValues(reasonUnreadable).Inc()
	w.log.Error().Type("type", obj).Msg("the watch gave something that is neither Job nor Pod")
}

// guard runs a handler and catches its panic. A panic of one object must not
// end the process: it would be listed again after every restart, and the status
// of all other jobs would stop for the sake of one. It is logged with its stack
// and counted; what the object said is lost until its next change, or until
// --resync.
func (w *Watcher) guard(where string, obj any, handle func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked(where, obj, r)
		}
	}()
	handle()
	return true
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

// watchError counts and logs a list or watch that broke; it is tried again with
// growing delays.
func (w *Watcher) watchError(resource, ns string, err error) {
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
		Msg("list or watch broke; trying again")
}

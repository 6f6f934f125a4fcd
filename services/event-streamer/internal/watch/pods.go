package watch

import (
	"k8s.io/client-go/tools/cache"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// podHandler reads the changes of Pods: causes of failure and steps of the
// timeline. No status depends on it.
type podHandler struct{ w *Watcher }

// OnAdd implements cache.ResourceEventHandler.
func (h podHandler) OnAdd(obj any, _ bool) { h.on("add pod", obj, false) }

// OnUpdate implements cache.ResourceEventHandler.
func (h podHandler) OnUpdate(_, now any) { h.on("update pod", now, false) }

// OnDelete implements cache.ResourceEventHandler. Of a pod whose end nobody
// saw, the last that was known stands.
func (h podHandler) OnDelete(obj any) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		h.on("delete pod", tombstone.Obj, false)
		return
	}
	h.on("delete pod", obj, true)
}

func (h podHandler) on(where string, obj any, deleted bool) {
	h.w.guard(where, obj, func() {
		h.w.metrics.event("pods")
		p, ok := obj.(*kube.Pod)
		if !ok || p.JobUID == "" {
			return // labelled by somebody, owned by no Job
		}
		switch {
		case deleted && p.Waiting():
			// The Job's failure is told only after its pods were deleted: what
			// this one waited for must be known then.
			h.w.stuck.Add(p.JobUID, p)
		case !p.Waiting() && !p.StartedAt.IsZero():
			h.w.stuck.Remove(p.JobUID) // another one got to work since
		}
		if owner := h.w.owner(p); owner != nil {
			h.w.podSays(p, owner, deleted)
		}
	})
}

// owner finds the Job of a pod, among those deleted too. Nil means that it has
// not been seen yet: when it is, it asks for its pods.
func (w *Watcher) owner(p *kube.Pod) *kube.Job {
	if informer, ok := w.jobs[p.Namespace]; ok {
		obj, found, err := informer.GetStore().GetByKey(p.Namespace + "/" + p.JobName)
		if j, isJob := obj.(*kube.Job); err == nil && found && isJob && j.UID == p.JobUID {
			return j
		}
	}
	j, _ := w.departed.Get(p.JobUID)
	return j
}

// podsOf reads the pods of a Job again: those that came before their Job, and,
// once the Job is overdue, those that wait in vain.
func (w *Watcher) podsOf(j *kube.Job) {
	if p, ok := w.stuck.Get(j.UID); ok && j.Overdue() {
		w.podSays(p, j, true)
	}
	informer, ok := w.pods[j.Namespace]
	if !ok {
		return
	}
	pods, err := informer.GetIndexer().ByIndex(byJob, string(j.UID))
	if err != nil {
		w.log.Error().Err(err).Str("job_id", j.JobID).Msg("pods of the job cannot be looked up")
		return
	}
	for _, obj := range pods {
		if p, ok := obj.(*kube.Pod); ok {
			w.podSays(p, j, false)
		}
	}
}

func (w *Watcher) podSays(p *kube.Pod, owner *kube.Job, deleted bool) {
	read := w.mapper.Pod
	if deleted {
		read = w.mapper.PodDeleted
	}
	f, err := read(p, owner)
	if err != nil {
		return // the Job itself was counted and logged
	}
	w.sink.Also(owner.UID, fact.From(&f))
}

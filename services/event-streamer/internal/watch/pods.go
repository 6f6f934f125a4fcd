package watch

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// podChanged reads a change of a Pod: causes of failure and steps of the
// timeline. No status depends on it.
func (w *Watcher) podChanged(c change[*kube.Pod]) {
	if p := c.subject(); p.JobUID != "" { // else labelled by somebody, owned by no Job
		w.podSeen(p, c.mark, c.kind == deleted)
	}
}

// podSeen hands over what a pod says. Of a pod whose end nobody saw, the last
// that was known stands.
func (w *Watcher) podSeen(p *kube.Pod, mark fact.Mark, deleted bool) {
	switch {
	case deleted && p.Waiting():
		// The Job's failure is told only after its pods were deleted: what
		// this one waited for must be known then.
		w.stuck.Add(p.JobUID, p)
	case !p.Waiting() && !p.StartedAt.IsZero():
		w.stuck.Remove(p.JobUID) // another one got to work since
	}
	owner := w.owner(p)
	if owner == nil {
		return
	}
	w.podSays(p, owner, deleted, mark, w.markOf(owner))
	if saidAll(p) {
		w.pods[p.Namespace].forget(p)
	}
}

// saidAll reports whether a pod can say no more, not even when its Job runs out of
// time. What it waited for counts then, and so does that it was killed: mostly by the
// Job's controller, which says why a moment later. It is gone soon in any case.
func saidAll(p *kube.Pod) bool { return p.Ended() && !p.Waiting() && !p.Cancelled }

// owner finds the Job of a pod, among those deleted too. Nil means that it has
// not been seen yet: when it is, it asks for its pods.
func (w *Watcher) owner(p *kube.Pod) *kube.Job {
	if feed, ok := w.jobs[p.Namespace]; ok {
		if j, ok := feed.get(p.Namespace, p.JobName); ok && j.UID == p.JobUID {
			return j
		}
	}
	j, _ := w.departed.Get(p.JobUID)
	return j
}

// podsOf reads the pods of a Job again: those that came before their Job, and,
// once the Job is overdue, those that wait in vain.
func (w *Watcher) podsOf(j *kube.Job, mark fact.Mark) {
	if p, ok := w.stuck.Get(j.UID); ok && j.Overdue() {
		w.podSays(p, j, true, mark, w.markOfPod(p))
	}
	feed, ok := w.pods[j.Namespace]
	if !ok {
		return
	}
	for _, p := range feed.of(j.UID) {
		w.podSays(p, j, false, mark, w.markOfPod(p))
		if saidAll(p) {
			feed.forget(p)
		}
	}
}

// podSays hands over what a pod says in the light of its Job. It follows from
// both, so it is marked by both: neither alone tells that it was published.
func (w *Watcher) podSays(p *kube.Pod, owner *kube.Job, deleted bool, marks ...fact.Mark) {
	read := w.mapper.Pod
	if deleted {
		read = w.mapper.PodDeleted
	}
	f, err := read(p, owner)
	if err != nil {
		return // the Job itself was counted and logged
	}
	if w.capturer != nil { // first, since the sink may make us wait
		w.capturer.PodSeen(p, owner, deleted)
	}
	w.sink.Also(owner.UID, fact.From(&f), marks...)
}

func (w *Watcher) markOf(j *kube.Job) fact.Mark {
	return fact.At(stream(resourceJobs, j.Namespace), j.ResourceVersion, 0)
}

func (w *Watcher) markOfPod(p *kube.Pod) fact.Mark {
	return fact.At(stream(resourcePods, p.Namespace), p.ResourceVersion, 0)
}

func jobOf(p *kube.Pod) types.UID { return p.JobUID }

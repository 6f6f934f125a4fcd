package capsule

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/kube"
)

// maxPerJob bounds the capsules of one Job: the first failure, the last, and one
// for a last failure that is heard of only after that of the Job.
const maxPerJob = 3

// failure is one failed pod, or a failed run of a container in a pod that goes on.
type failure struct {
	job *kube.Job
	pod *kube.Pod
	// at is when it failed, as the object tells it; seen when this process heard.
	at, seen time.Time
}

func (f *failure) key() string { return string(f.pod.UID) + "@" + f.at.UTC().Format(time.RFC3339) }

// failedAt is when a pod failed. Where a container failed and is started again,
// the pod goes on: that run's log is gone with the next. A pod that still runs
// when its Job's time is over is about to be killed for it. One that was killed
// since it was deleted has not failed: a wave of cancellations tells nothing.
func failedAt(p *kube.Pod, j *kube.Job) (at time.Time, failed bool) {
	if p.Phase == corev1.PodFailed && !p.Cancelled {
		return p.EndedAt, true
	}
	for i := range p.Causes {
		if c := &p.Causes[i]; !c.Waiting {
			failed = true
			if c.At.After(at) {
				at = c.At
			}
		}
	}
	if !failed && j.Overdue() && (p.Phase == corev1.PodRunning || p.Cancelled) {
		return decidedAt(j)
	}
	return at, failed
}

// decidedAt is when the failure of a Job was decided: nothing unsets it.
func decidedAt(j *kube.Job) (at time.Time, decided bool) {
	for i := range j.Conditions {
		c := &j.Conditions[i]
		if !c.True || c.Type != batchv1.JobFailed && c.Type != batchv1.JobFailureTarget {
			continue
		}
		if !decided || c.At.Before(at) {
			at = c.At
		}
		decided = true
	}
	return at, decided
}

// dossier is what is known of the failures of one Job.
type dossier struct {
	// first is to be taken at once, last once the Job is over; nil for none.
	first, last *failure
	// taken are the keys of those that were; newest is when the last of them failed.
	taken  []string
	newest time.Time
	// over says that the Job has failed or is gone, decided when; zero when unknown.
	over    bool
	decided time.Time
	// queued says that a worker will come.
	queued bool
}

// note adds a failure. What failed because its Job did tells nothing new.
func (d *dossier) note(f *failure) {
	key := f.key()
	if slices.Contains(d.taken, key) || d.first != nil && d.first.key() == key {
		return
	}
	if len(d.taken) == 0 && (d.first == nil || f.at.Before(d.first.at)) {
		d.first, f = f, d.first
	}
	switch {
	case f == nil, f.at.Before(d.newest), len(d.taken) >= maxPerJob:
	case !d.decided.IsZero() && f.at.After(d.decided):
	case d.last == nil || !f.at.Before(d.last.at):
		d.last = f
	}
}

// end notes that the Job is over. at is zero when nobody says since when.
func (d *dossier) end(at time.Time) {
	d.over = true
	if d.decided.IsZero() {
		d.decided = at
	}
}

// due is the failure whose capsule is to be taken now, or nil.
func (d *dossier) due() *failure {
	switch {
	case d.first != nil:
		return d.first
	case d.over:
		return d.last
	default:
		return nil
	}
}

// take is due, which is then taken.
func (d *dossier) take() *failure {
	f := d.due()
	if f == nil {
		return nil
	}
	if f == d.first {
		d.first = nil
	} else {
		d.last = nil
	}
	d.taken = append(d.taken, f.key())
	if f.at.After(d.newest) {
		d.newest = f.at
	}
	return f
}

// drop gives up what is due.
func (d *dossier) drop() {
	if d.first, d.queued = nil, false; d.over {
		d.last = nil
	}
}

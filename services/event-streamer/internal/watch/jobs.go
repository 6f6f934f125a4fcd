package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// existsTimeout bounds one look at the API server.
const existsTimeout = 10 * time.Second

// jobChanged reads a change of a Job. A Job deleted and created anew between two
// looks comes as one update with two UIDs.
func (w *Watcher) jobChanged(c change[*kube.Job]) {
	switch c.kind {
	case deleted:
		w.gone(c.now, true, c.mark)
	case missing:
		w.gone(c.before, false, c.mark)
	default:
		anew := c.before == nil || c.before.UID != c.now.UID
		if anew && c.before != nil {
			w.gone(c.before, false, c.mark)
		}
		w.seen(c.now, c.mark)
		if anew || c.now.Overdue() && !c.before.Overdue() {
			w.podsOf(c.now, c.mark)
		}
	}
}

// seen hands over what a live Job says.
func (w *Watcher) seen(j *kube.Job, mark fact.Mark) {
	f, err := w.mapper.Job(j)
	if err != nil {
		w.ignore(j, err)
		return
	}
	w.note(j, f.Notes)
	if w.capturer != nil {
		w.capturer.JobSeen(j)
	}
	w.sink.Seen(j.UID, fact.From(&f), mark)
}

// gone hands over what the deletion of a Job says. Of an ended one that is no
// more than was said; of any other it depends on whether the Job is really gone.
func (w *Watcher) gone(j *kube.Job, finalStateKnown bool, mark fact.Mark) {
	defer w.forget(j.UID)
	f, err := w.mapper.Deleted(j, finalStateKnown)
	if err != nil {
		w.ignore(j, err)
		w.sink.Gone(j.UID, nil, mark) // it may have been readable before
		return
	}
	w.departed.Add(j.UID, j)
	if w.capturer != nil {
		w.capturer.JobGone(j)
	}
	if j.Ended() {
		w.sink.Also(j.UID, fact.From(&f), mark)
		w.sink.Gone(j.UID, nil, mark)
		return
	}
	w.sink.Gone(j.UID, w.judge(j, fact.From(&f)), mark)
}

// judge tells a deletion from a removed label: to a watch by label both look
// alike, and only the API server knows.
func (w *Watcher) judge(j *kube.Job, facts []fact.Fact) func(context.Context) ([]fact.Fact, error) {
	return func(ctx context.Context) ([]fact.Fact, error) {
		there, err := w.exists(ctx, j)
		if err != nil {
			return nil, err
		}
		e := w.log.Info().Str("job_id", j.JobID).Str("namespace", j.Namespace).Str("name", j.Name).Str("uid", string(j.UID))
		if there {
			w.metrics.deletions.WithLabelValues(outcomeUnlabelled).Inc()
			e.Msg("the label was removed; the Job lives on unwatched")
			return nil, nil
		}
		w.metrics.deletions.WithLabelValues(outcomeGone).Inc()
		e.Msg("the Job was deleted before its end")
		return facts, nil
	}
}

// exists asks the API server itself, not its cache, for this life of the Job.
func (w *Watcher) exists(ctx context.Context, j *kube.Job) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, existsTimeout)
	defer cancel()
	o, err := w.client.BatchV1().Jobs(j.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for job %s/%s: %w", j.Namespace, j.Name, err)
	default:
		return o.UID == j.UID, nil
	}
}

// ignore counts a Job that makes no facts, and logs it, once each.
func (w *Watcher) ignore(j *kube.Job, err error) {
	if !w.complain(j.UID, err.Error()) {
		return
	}
	w.metrics.ignored.WithLabelValues(ignoreReason(err)).Inc()
	w.log.Warn().Err(err).Str("namespace", j.Namespace).Str("name", j.Name).Str("uid", string(j.UID)).Msg("job ignored")
}

// note counts and logs, once a Job, annotations that were ignored.
func (w *Watcher) note(j *kube.Job, notes []kube.Note) {
	if len(notes) == 0 || !w.complain(j.UID, fmt.Sprint(notes)) {
		return
	}
	for _, n := range notes {
		w.metrics.annotations.WithLabelValues(n.Key[len(kube.Prefix):]).Inc()
		w.log.Warn().Str("job_id", j.JobID).Str("namespace", j.Namespace).Str("name", j.Name).
			Str("annotation", n.Key).Msg("annotation ignored: it " + n.Problem)
	}
}

// complain reports whether a fault of the Job is still to be told.
func (w *Watcher) complain(uid types.UID, fault string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.complained[uid] == fault {
		return false
	}
	w.complained[uid] = fault
	return true
}

func (w *Watcher) forget(uid types.UID) {
	w.stuck.Remove(uid)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.complained, uid)
}

func ignoreReason(err error) string {
	switch {
	case errors.Is(err, kube.ErrInvalidJobID):
		return reasonJobID
	case errors.Is(err, kube.ErrInvalidAttempt):
		return reasonAttempt
	default:
		return reasonUnreadable
	}
}

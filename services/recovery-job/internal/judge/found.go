package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// cluster judges by what the cluster shows.
func (q *inquest) cluster(*rules.Set) (Verdict, bool) {
	switch q.Cluster.Probe {
	case NotAsked:
		return q.ask(NeedCluster), true
	case Failed:
		return q.clusterFault(), true
	case Answered:
	}
	q.merge()
	if v, decided := q.ended(); decided {
		return v, true
	}
	if f := q.newest(func(f *FoundJob) bool { return f.Stand != StandEnded }); f != nil {
		return q.alive(f), true
	}
	for i := range q.Cluster.Jobs {
		if f := &q.Cluster.Jobs[i]; f.Head.JobID == "" {
			return q.cannot(ReasonJobUnreadable, "its Kubernetes Job cannot be read: "+f.Problem), true
		}
	}
	if n := len(q.Cluster.Pods); n > 0 {
		return q.told(q.leave(ReasonOrphan,
			fmt.Sprintf("%d of its pods live on without their Kubernetes Job, %s first", n, q.Cluster.Pods[0]), q.later())), true
	}
	return Verdict{}, false
}

func (q *inquest) clusterFault() Verdict {
	switch f := &q.Cluster.Fault; f.Kind {
	case FaultRefused:
		return q.cannot(ReasonClusterRefused, "the cluster refuses to answer: "+f.Err)
	case FaultMisconfigured:
		return q.cannot(ReasonNamespace, f.Err)
	default:
		return q.cannot(ReasonClusterUnavailable, "the cluster does not answer: "+f.Err)
	}
}

// merge applies all that the cluster says and keeps what was news.
func (q *inquest) merge() {
	q.after = *q.Record
	for i := range q.Cluster.Jobs {
		q.learn(q.Cluster.Jobs[i].Claims)
	}
	if q.onlyDeleted() {
		q.after, q.news = *q.Record, nil
	}
}

// onlyDeleted reports whether all that is new is that a Kubernetes Job is being
// deleted: that raises its generation, in which it says again what is on record.
func (q *inquest) onlyDeleted() bool {
	if len(q.news) == 0 || !slices.ContainsFunc(q.Cluster.Jobs, func(f FoundJob) bool { return f.Deleting }) {
		return false
	}
	known := q.after
	known.Status.Generation = q.Record.Status.Generation
	return known.Equal(q.Record)
}

func (q *inquest) learn(claims []job.Observation) {
	for i := range claims {
		if q.after.Apply(&claims[i]).Changed() {
			q.news = append(q.news, claims[i])
		}
	}
}

// ended adopts the end of a Kubernetes Job, carried out or decided.
func (q *inquest) ended() (Verdict, bool) {
	newest := q.newest(func(*FoundJob) bool { return true })
	if newest == nil {
		return Verdict{}, false
	}
	reason := ReasonEnded
	overdue := newest.Stand == StandEnding && newest.Live == 0 && q.Now.Sub(newest.Since) > q.rule.EndingGrace
	if overdue {
		q.learn(newest.Decided)
		reason = ReasonEndDecided
	}
	if len(q.news) == 0 {
		return Verdict{}, false
	}
	view := q.after.View()
	switch {
	case job.Terminal(view.State):
	case view.StageDone && (newest.Stand == StandEnded || overdue):
		reason = ReasonStageEnded
	default:
		return Verdict{}, false
	}
	sentence := fmt.Sprintf("its Kubernetes Job %s says so: %s", newest.name(), newest.Message)
	if reason == ReasonEndDecided {
		sentence = fmt.Sprintf("the end of its Kubernetes Job %s was decided and no pod can carry it out: %s", newest.name(), newest.Message)
	}
	return q.adopt(reason, sentence), true
}

// newest returns the Kubernetes Job of the latest life that is wanted.
func (q *inquest) newest(want func(*FoundJob) bool) (best *FoundJob) {
	for i := range q.Cluster.Jobs {
		f := &q.Cluster.Jobs[i]
		if want(f) && (best == nil || f.follows(best)) {
			best = f
		}
	}
	return best
}

// follows orders lives as the merge rule does; an unreadable Job is before all.
func (f *FoundJob) follows(o *FoundJob) bool {
	a, b := &f.Head, &o.Head
	if a.Attempt != b.Attempt {
		return a.Attempt > b.Attempt
	}
	if c := a.Kubernetes.CreatedAt.Compare(b.Kubernetes.CreatedAt); c != 0 {
		return c > 0
	}
	return a.Kubernetes.UID > b.Kubernetes.UID
}

func (f *FoundJob) name() string { return f.Head.Kubernetes.Namespace + "/" + f.Head.Kubernetes.Name }

// alive judges a job of which a Kubernetes Job has not ended: it is never
// failed and never resumed.
func (q *inquest) alive(f *FoundJob) Verdict {
	switch {
	case f.Head.JobID == "":
		return q.cannot(ReasonJobUnreadable, "its Kubernetes Job lives but cannot be read: "+f.Problem)
	case f.Head.Attempt < q.attempt:
		return q.told(q.leave(ReasonOldRun,
			fmt.Sprintf("Kubernetes Job %s of attempt %d still lives", f.name(), f.Head.Attempt), q.later()))
	case f.Deleting && f.Stand != StandEnding:
		return q.deleting(f)
	case f.Wait.Load() && (f.Stand == StandWaiting || f.Stand == StandSuspended):
		return q.delayed(f)
	case len(q.news) > 0:
		return q.adopt(ReasonNews, fmt.Sprintf("Kubernetes Job %s lives: %s", f.name(), f.lives()))
	default:
		return q.stands(f)
	}
}

// deleting has people look at a Kubernetes Job that lives and is on its way out: it
// waits for no room any more, whatever it says, and nobody knows what holds it.
func (q *inquest) deleting(f *FoundJob) Verdict {
	sentence := fmt.Sprintf("Kubernetes Job %s is being deleted", f.name())
	if len(q.news) > 0 {
		return q.told(q.adopt(ReasonDeleting, sentence))
	}
	return q.told(q.leave(ReasonDeleting, sentence, q.later()))
}

// stands leaves a living Kubernetes Job alone and says how it stands.
func (q *inquest) stands(f *FoundJob) Verdict {
	since := q.span(f.Since)
	switch {
	case f.Stand == StandEnding:
		next := f.Since.Add(q.rule.EndingGrace)
		if f.Live > 0 || !next.After(q.Now) {
			next = q.later()
		}
		return q.leave(ReasonEnding, fmt.Sprintf("Kubernetes Job %s is about to end: %s", f.name(), f.Message), next)
	case f.Stand == StandSuspended:
		return q.leave(ReasonSuspended, fmt.Sprintf("Kubernetes Job %s has been suspended for %s", f.name(), since), q.later())
	case f.Stand == StandWaiting:
		return q.told(q.leave(ReasonWaiting, fmt.Sprintf("Kubernetes Job %s has waited for %s: %s", f.name(), since, f.lives()), q.later()))
	case q.rule.RunningLimit > 0 && !f.Since.IsZero() && q.Now.Sub(f.Since) > q.rule.RunningLimit:
		return q.told(q.leave(ReasonRunningLong, fmt.Sprintf("Kubernetes Job %s has run for %s, longer than %s",
			f.name(), since, short(q.rule.RunningLimit)), q.later()))
	default:
		return q.leave(ReasonRunning, fmt.Sprintf("Kubernetes Job %s has run for %s", f.name(), since), q.later())
	}
}

func (f *FoundJob) lives() string {
	if f.Message != "" {
		return f.Message
	}
	switch f.Stand {
	case StandSuspended:
		return "it is suspended"
	case StandWaiting:
		return "nothing says what it waits for"
	default:
		return "it runs"
	}
}

// delayed tells the user, once a spell, that the job waits for room.
func (q *inquest) delayed(f *FoundJob) Verdict {
	reasons := map[Wait]Reason{WaitRoom: ReasonRoom, WaitQuota: ReasonQuota, WaitQueue: ReasonQueue}
	sentence := fmt.Sprintf("Kubernetes Job %s waits for room: %s", f.name(), f.lives())
	mark := f.Head
	return q.delay(reasons[f.Wait], sentence, mark, f.Since)
}

// delay marks the job as delayed, unless that is known of this spell.
func (q *inquest) delay(reason Reason, sentence string, mark job.Observation, since time.Time) Verdict {
	if q.after.View().Delayed {
		return q.known(ReasonDelayed, sentence)
	}
	if v, wrong := q.clock(); wrong {
		return v
	}
	if since.IsZero() || since.After(q.Now) {
		since = q.Now
	}
	// A mark counts only from the last change of the status on.
	if s := q.after.Status.OccurredAt; s.After(since) {
		since = s
	}
	q.sign(&mark, since)
	mark.Kind, mark.Delayed, mark.DelayReason = job.KindDelay, true, sentence
	mark.EventID = q.eventID(&mark, "DELAYED")
	marked := q.after
	if !marked.Apply(&mark).Changed() || !marked.View().Delayed {
		// The job has moved on to a later life, or the mark was taken away.
		return q.told(q.known(ReasonWaiting, sentence))
	}
	v := q.verdict(ActionDelay, reason, sentence)
	v.Claims = append(slices.Clone(q.news), mark)
	return q.finish(v)
}

// known adopts what else the cluster says of a job that waits, if anything.
func (q *inquest) known(r Reason, sentence string) Verdict {
	if len(q.news) > 0 {
		return q.adopt(ReasonNews, sentence)
	}
	return q.leave(r, sentence, q.later())
}

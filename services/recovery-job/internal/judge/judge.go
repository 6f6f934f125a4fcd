package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// inquest is one judgement on its way.
type inquest struct {
	*Evidence
	home *Home
	view job.View
	// attempt is the run that is judged, at least 1.
	attempt int32
	rule    *rules.Rule
	// quiet is when the last was heard of the job; zero when nothing is dated.
	quiet time.Time
	due   time.Time
	// after is the record with all that the cluster says.
	after job.Record
	// news are the cluster's claims that the record did not know.
	news []job.Observation
}

// Judge returns the verdict on a job, or what has to be known first. The order
// is that of strength: what the cluster shows, what the bucket holds, silence.
func (j *Judge) Judge(e *Evidence) Verdict {
	q := &inquest{Evidence: e, home: &j.Home}
	if e.Record == nil || job.CheckID(e.Record.JobID) != nil {
		return q.cannot(ReasonBadRecord, "the record names no job")
	}
	q.view = e.Record.View()
	q.attempt = max(q.view.Attempt, 1)
	q.quiet = q.lastHeard()
	for _, step := range []func(*rules.Set) (Verdict, bool){q.admit, q.cluster, q.output} {
		if v, decided := step(j.Rules); decided {
			return v
		}
	}
	if q.gone() {
		return q.absence()
	}
	return q.silence()
}

// ClusterQuery is what the cluster is asked about a job.
func (j *Judge) ClusterQuery(e *Evidence, live bool) ClusterQuery {
	k := &e.Record.Kubernetes
	return ClusterQuery{JobID: e.Record.JobID, Namespace: k.Namespace, Name: k.Name, UID: k.UID, Live: live}
}

// OutputQuery is what the bucket is asked about a job; Judge has found its rule.
func (j *Judge) OutputQuery(e *Evidence) OutputQuery {
	view := e.Record.View()
	query := OutputQuery{
		URI: e.Record.OutputURI.Value, JobID: e.Record.JobID, Attempt: max(view.Attempt, 1), Now: e.Now,
	}
	if e.Record.Started.Attempt == query.Attempt {
		query.Started = e.Record.Started.At
	}
	if e.Record.Kubernetes.Attempt == query.Attempt {
		query.UID = e.Record.Kubernetes.UID
	}
	if f := j.Rules.Find(subject(e.Record, &view, time.Time{})); f.Rule != nil {
		query.Want = f.Rule.Output
	}
	return query
}

// Due says whether a job is to be judged at all, before anything is asked: by
// which rule, and from when on. The rule is nil when none describes the job.
func (j *Judge) Due(e *Evidence) rules.Found {
	view := e.Record.View()
	q := &inquest{Evidence: e, home: &j.Home, view: view}
	return j.Rules.Find(subject(e.Record, &view, q.lastHeard()))
}

// subject is what rules see of a job.
func subject(r *job.Record, v *job.View, quiet time.Time) *rules.Subject {
	return &rules.Subject{
		JobID: r.JobID, Stage: v.Stage, State: v.State, QuietSince: quiet,
		Labels: map[string]string{
			rules.LabelJobID: r.JobID, rules.LabelOwner: r.Owner.Value, rules.LabelTenant: r.Tenant.Value,
			rules.LabelNamespace: r.Kubernetes.Namespace, rules.LabelCluster: r.Kubernetes.Cluster,
		},
	}
}

// lastHeard is the latest moment that the record is dated by. A moment ahead of
// this clock dates nothing.
func (q *inquest) lastHeard() time.Time {
	var last time.Time
	r := q.Record
	for _, t := range []time.Time{q.UpdatedAt, r.Status.OccurredAt, r.Cause.OccurredAt, r.Started.At} {
		if t.After(last) && !t.After(q.Now) {
			last = t
		}
	}
	return last
}

// admit turns away jobs that are not to be judged here and now.
func (q *inquest) admit(set *rules.Set) (Verdict, bool) {
	if job.Terminal(q.view.State) {
		return q.leave(ReasonOver, "the job is over", time.Time{}), true
	}
	switch cluster := q.Record.Kubernetes.Cluster; {
	case cluster == "" && !q.home.Unclaimed:
		return q.leave(ReasonOtherCluster, "no cluster has the job yet; another recovery-job judges those", time.Time{}), true
	case cluster != "" && cluster != q.home.Cluster:
		return q.leave(ReasonOtherCluster, "the job is in cluster "+cluster+", whose own recovery-job judges it", time.Time{}), true
	}
	found := set.Find(subject(q.Record, &q.view, q.quiet))
	if q.rule = found.Rule; q.rule == nil {
		v := q.leave(ReasonNoRule, "no rule describes a job of stage "+orNone(q.view.Stage), q.later())
		v.Attention = true
		return v, true
	}
	// What was seen to be gone need not be silent as well.
	if q.due = found.Due; q.Now.Before(q.due) && !q.view.Vanished {
		return q.leave(ReasonNotDue, "it was heard of "+q.quietFor()+" ago", q.due), true
	}
	return Verdict{}, false
}

// Between two looks at a job that is alive.
const (
	minPause = time.Hour
	maxPause = 24 * time.Hour
)

// later is when a job with which nothing is wrong is looked at again: the longer
// it has been quiet, the later, so that looks come after 1, 2, 4 and 8 hours, and
// a healthy job of twenty hours is looked at five times.
func (q *inquest) later() time.Time {
	if q.quiet.IsZero() {
		return q.Now.Add(minPause)
	}
	return q.Now.Add(min(max(q.Now.Sub(q.quiet), minPause), maxPause))
}

// gone reports whether the run had reached the cluster and its Kubernetes Job is
// there no more. A run whose Kubernetes stage is done, or that has moved on to a
// later stage, is not gone but silent.
func (q *inquest) gone() bool {
	k, s := &q.Record.Kubernetes, &q.Record.Status
	if k.UID == "" || k.Attempt != q.attempt || q.found() {
		return false
	}
	if s.Attempt != k.Attempt {
		return true
	}
	return s.Ordinal < k.Ordinal || s.Ordinal == k.Ordinal && !s.StageDone
}

// found reports whether the cluster shows a Kubernetes Job of this run. An attempt
// may have had several: one before that on record is not it, and may be kept long
// after that one is gone.
func (q *inquest) found() bool {
	k := &q.Record.Kubernetes
	last := FoundJob{Head: job.Observation{Attempt: k.Attempt, Kubernetes: k.Kubernetes}}
	for i := range q.Cluster.Jobs {
		f := &q.Cluster.Jobs[i]
		if f.Head.Attempt < q.attempt {
			continue
		}
		if !q.reached() || f.Head.Kubernetes.UID == k.UID || f.follows(&last) {
			return true
		}
	}
	return false
}

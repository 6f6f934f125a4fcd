package kube

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
)

// stageDone stands in for the state in the id of 'this stage is done', which
// is a claim of RUNNING as well but another fact.
const stageDone = "STAGE_DONE"

// Job says all that a live Job shows: its status, the causes of failure that
// its own conditions name, and a phase for each condition.
func (m *Mapper) Job(j *Job) (Facts, error) {
	var f Facts
	head, err := m.head(j, &f)
	if err != nil {
		return f, err
	}
	final := f.final(j)
	if j.Ended() {
		// Both are tried: a controller of another kind may have set both, and
		// the merge rule, not the order of a list, judges between them.
		f.ended(head, j, j.holds(batchv1.JobComplete), final)
		f.failed(head, j, j.holds(batchv1.JobFailed))
	} else {
		f.alive(head, j)
	}
	f.conditions(&head, j)
	f.partialFailure(&head, j)
	return f, nil
}

// ended claims the success of the Job, which is that of the whole job only
// where its stage is declared final.
func (f *Facts) ended(o job.Observation, j *Job, c *Condition, final bool) {
	if c == nil {
		return
	}
	o.Kind, o.Detail = job.KindStatus, summary(c)
	if !final {
		o.State, o.StageDone, o.Generation = job.StateRunning, true, j.Generation
		f.observe(o, j.at(c), stageDone)
		return
	}
	o.State, o.Evidence = job.StateSucceeded, job.EvidenceCondition
	f.observe(o, j.at(c), job.StateName(o.State))
}

// failed claims the failure of the Job.
func (f *Facts) failed(o job.Observation, j *Job, c *Condition) {
	if c == nil {
		return
	}
	o.Kind, o.State, o.Evidence = job.KindStatus, job.StateFailed, job.EvidenceCondition
	o.Cause, o.Detail = conditionCause(c), summary(c)
	f.observe(o, j.at(c), job.StateName(o.State))
}

// alive claims the state of a Job that has not ended.
func (f *Facts) alive(o job.Observation, j *Job) {
	state, at, generation := j.live()
	if state == job.StateUnspecified {
		return
	}
	o.Kind, o.State, o.Generation = job.KindStatus, state, generation
	f.observe(o, at, job.StateName(state))
}

// live is the state of a Job that has not ended, since when, and the generation
// of the spec that it answers to. It is unspecified while spec.suspend and the
// Suspended condition disagree: the controller has not caught up, and a claim
// made of the old condition with the new generation would outrank the true one
// that follows within the same second.
func (j *Job) live() (job.State, time.Time, int64) {
	c := j.condition(batchv1.JobSuspended)
	suspended := c != nil && c.True
	if suspended != j.Suspend && (c != nil || !j.StartTime.IsZero()) {
		return job.StateUnspecified, time.Time{}, 0
	}
	created := j.CreationTimestamp.Time
	if suspended {
		return job.StateSuspended, later(j.at(c), created), j.Generation
	}
	// A new Job has generation 1. The claim that it exists keeps that, or every
	// later change of the spec would look like news.
	since, generation := created, min(j.Generation, 1)
	if c != nil {
		since, generation = later(j.at(c), created), j.Generation
	}
	if j.PodReady || j.PodEnded {
		// Clocks of the API server and the controller differ: RUNNING must not
		// come before the PENDING that it follows.
		return job.StateRunning, later(j.StartTime, since), j.Generation
	}
	return job.StatePending, since, generation
}

// lastState is the last state that the object shows, for one that vanished.
func (j *Job) lastState() job.State {
	c := j.condition(batchv1.JobSuspended)
	switch {
	case c != nil && c.True:
		return job.StateSuspended
	case j.PodReady || j.PodEnded:
		return job.StateRunning
	default:
		return job.StatePending
	}
}

package cluster

import (
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// found says what one Kubernetes Job shows. It was found as that of jobID, if
// only by its UID: a label taken away does not make it another's.
func (p *Prober) found(o *object, pods []*pod, blocked, jobID string) judge.FoundJob {
	if o.JobID != jobID {
		renamed := *o.Job
		renamed.JobID = jobID
		o = &object{Job: &renamed, queue: o.queue}
	}
	f := stand(o, pods, blocked)
	f.Deleting = o.DeletionTimestamp != nil
	facts, err := p.mapper.Job(o.Job)
	if err == nil {
		f.Head, err = p.mapper.Head(o.Job)
	}
	if err != nil {
		f.Problem = err.Error()
		f.Head = job.Observation{Kubernetes: job.Kubernetes{
			Cluster: p.mapper.Cluster, Namespace: o.Namespace, Name: o.Name, UID: string(o.UID),
		}}
		return f
	}
	f.Claims = facts.Observations
	if f.Stand == judge.StandEnding {
		decided, err := p.mapper.Decided(o.Job)
		if err != nil {
			f.Problem = err.Error()
		}
		f.Decided = decided.Observations
	}
	return f
}

// stand says how a Kubernetes Job stands, most telling first.
func stand(o *object, pods []*pod, blocked string) judge.FoundJob {
	f := judge.FoundJob{Live: len(pods)}
	if c := holds(o.Job, batchv1.JobComplete, batchv1.JobFailed); c != nil {
		f.Stand, f.Since, f.Message = judge.StandEnded, c.At, told(c)
		return f
	}
	if c := holds(o.Job, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet); c != nil {
		return ending(c, pods)
	}
	if c := holds(o.Job, batchv1.JobSuspended); c != nil || o.Suspend {
		f.Stand, f.Since = judge.StandSuspended, o.CreationTimestamp.Time
		if c != nil {
			f.Since, f.Message = c.At, told(c)
		}
		if o.queue != "" {
			f.Wait, f.Message = judge.WaitQueue, "queue "+o.queue+" has not admitted it"
		}
		return f
	}
	if o.PodReady {
		return runs(f, o)
	}
	return waiting(f, o, pods, blocked)
}

// ending is a Job whose end is decided. The time that its pods have to end counts
// from the last of them: each may have been given hours.
func ending(c *kube.Condition, pods []*pod) judge.FoundJob {
	f := judge.FoundJob{Stand: judge.StandEnding, Since: c.At, Message: told(c)}
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			f.Live++
		} else if t := p.DeletionTimestamp.Time; t.After(f.Since) {
			f.Since = t
		}
	}
	return f
}

// waiting is a Job of which no pod is ready.
func waiting(f judge.FoundJob, o *object, pods []*pod, blocked string) judge.FoundJob {
	f.Stand, f.Since = judge.StandWaiting, o.CreationTimestamp.Time
	var wait *kube.PodCause
	for _, p := range pods {
		switch {
		case p.gated:
			f.Wait, f.Message = judge.WaitQueue, "a queue holds back pod "+p.Name
			return f
		case !p.Waiting() && !p.StartedAt.IsZero():
			return runs(f, o)
		}
		for i := range p.Causes {
			if c := &p.Causes[i]; c.Waiting && (wait == nil || waitOf(wait).Load() && !waitOf(c).Load()) {
				wait = c // what more room will not mend comes first
			}
		}
	}
	switch {
	case wait != nil:
		f.Wait, f.Message = waitOf(wait), wait.Message
		if wait.At.After(f.Since) {
			f.Since = wait.At
		}
	case len(pods) > 0:
		f.Message = "its pods have not started"
	case blocked != "":
		f.Wait, f.Message = blockedBy(blocked), blocked
	case o.PodEnded:
		return runs(f, o) // between two tries
	default:
		f.Message = "it has no pods"
	}
	return f
}

func runs(f judge.FoundJob, o *object) judge.FoundJob {
	f.Stand, f.Wait, f.Since, f.Message = judge.StandRunning, judge.WaitNone, o.CreationTimestamp.Time, ""
	if o.StartTime.After(f.Since) {
		f.Since = o.StartTime
	}
	return f
}

func waitOf(c *kube.PodCause) judge.Wait {
	switch c.Cause {
	case job.CauseUnschedulable:
		return judge.WaitRoom
	case job.CauseQuota:
		return judge.WaitQuota
	case job.CauseImage:
		return judge.WaitImage
	case job.CauseConfig:
		return judge.WaitConfig
	default:
		return judge.WaitNone
	}
}

// quotaWords are how the API server refuses a pod for want of quota.
const quotaWords = "exceeded quota"

// blockedBy reads why the controller cannot make pods. Whatever is not a quota is
// something that a person has set up wrong.
func blockedBy(message string) judge.Wait {
	if strings.Contains(message, quotaWords) {
		return judge.WaitQuota
	}
	return judge.WaitConfig
}

// holds returns the first condition of these types that is True.
func holds(j *kube.Job, types ...batchv1.JobConditionType) *kube.Condition {
	for _, t := range types {
		for i := range j.Conditions {
			if c := &j.Conditions[i]; c.Type == t && c.True {
				if c.At.IsZero() {
					dated := *c
					dated.At = latest(j)
					return &dated
				}
				return c
			}
		}
	}
	return nil
}

// latest stands in where a condition is not dated.
func latest(j *kube.Job) time.Time {
	if j.StartTime.After(j.CreationTimestamp.Time) {
		return j.StartTime
	}
	return j.CreationTimestamp.Time
}

// told is a condition in one line.
func told(c *kube.Condition) string {
	s := string(c.Type) + "=True"
	if c.Reason != "" {
		s += " (" + c.Reason + ")"
	}
	if c.Message != "" {
		s += ": " + c.Message
	}
	return s
}

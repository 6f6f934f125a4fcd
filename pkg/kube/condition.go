package kube

import (
	"regexp"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// PhaseIndexFailed is the phase of an Indexed Job of which a part has failed
// while the rest goes on.
const PhaseIndexFailed = "job.index.failed"

const (
	phaseCondition = "job.condition."
	// maxConditions bounds the phases of one object. Kubernetes itself sets six
	// types; controllers of other kinds add a few.
	maxConditions = 32
)

// conditions adds a phase for each condition that holds, and for the end of a
// suspension; FailureTarget, set while the last pods still end, also names the
// cause before the verdict is there.
func (f *Facts) conditions(o *job.Observation, j *Job) {
	for i := range j.Conditions[:min(len(j.Conditions), maxConditions)] {
		c := &j.Conditions[i]
		if !c.True && c.Type != batchv1.JobSuspended {
			continue
		}
		f.condition(o, j, c)
		if c.Type == batchv1.JobFailureTarget {
			cause := *o
			cause.Kind, cause.Cause = job.KindCause, conditionCause(c)
			f.observe(cause, j.at(c), "CAUSE", string(c.Type))
		}
	}
}

func (f *Facts) condition(o *job.Observation, j *Job, c *Condition) {
	status := "True"
	if !c.True {
		status = "False"
	}
	p := f.phase(o, j.at(c), phaseCondition+strings.ToValidUTF8(string(c.Type), "?"), status)
	p.Message = c.Message
	p.Details = map[string]string{"status": status}
	if c.Reason != "" {
		p.Details["reason"] = c.Reason
	}
	if c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed {
		indexDetails(p.Details, j)
	}
	note := &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_INFO, Kubernetes: jobevent.KubernetesRef(&o.Kubernetes)}
	if failed := c.Type == batchv1.JobFailed; failed || c.Type == batchv1.JobFailureTarget {
		note.Level = resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING
		if failed {
			note.Level = resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR
		}
		cause := conditionCause(c)
		note.Cause = jobevent.Cause(&cause)
	}
	p.Event = &resiliencyv1.PhaseEvent_Noted{Noted: note}
}

// indexDetails tells which indexes of an Indexed Job ended how. Only an ended Job
// has its last word on them: under one id a phase must not say two things.
func indexDetails(details map[string]string, j *Job) {
	if j.CompletedIndexes != "" {
		details["completed_indexes"] = j.CompletedIndexes
	}
	if j.FailedIndexes != "" {
		details["failed_indexes"] = j.FailedIndexes
	}
}

// partialFailure notes, once, that an index of an Indexed Job has failed for good
// while others go on: the Job itself says Failed only when the last has ended.
// The object does not tell when that was, so it is dated by the Job's start.
func (f *Facts) partialFailure(o *job.Observation, j *Job) {
	if j.FailedIndexes == "" || j.Ended() {
		return
	}
	p := f.phase(o, later(j.StartTime, j.CreationTimestamp.Time), PhaseIndexFailed)
	p.Message = "an index has failed for good; the others go on"
	p.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{
		Level: resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING, Kubernetes: jobevent.KubernetesRef(&o.Kubernetes),
		Cause: &resiliencyv1.CauseDetail{Cause: job.CauseFailedIndexes, Message: p.Message},
	}}
}

// conditionCause reads why a Job failed from the condition that says so.
func conditionCause(c *Condition) job.CauseDetail { return FailureCause(c.Reason, c.Message) }

// FailureCause reads why a Job failed from the reason and message of the
// condition that says so. The Event of the failure repeats both word for word.
func FailureCause(reason, message string) job.CauseDetail {
	d := job.CauseDetail{Cause: job.CauseOther, Reason: text(reason, maxName), Message: text(message, maxMessage)}
	switch reason {
	case batchv1.JobReasonBackoffLimitExceeded:
		d.Cause = job.CauseBackoffLimit
	case batchv1.JobReasonDeadlineExceeded:
		d.Cause = job.CauseDeadline
	case batchv1.JobReasonFailedIndexes, batchv1.JobReasonMaxFailedIndexesExceeded:
		d.Cause = job.CauseFailedIndexes
	case batchv1.JobReasonPodFailurePolicy:
		d.Cause = job.CausePolicy
		policyFacts(&d)
	}
	return d
}

// policyMessage is how the Job controller tells which container made a rule of
// podFailurePolicy match. The pod may be gone by then: this is all that is left.
var policyMessage = regexp.MustCompile(`^Container (\S+) for pod [^/\s]+/(\S+) failed with exit code (-?\d+) matching`)

func policyFacts(d *job.CauseDetail) {
	m := policyMessage.FindStringSubmatch(d.Message)
	if m == nil {
		return
	}
	d.Container, d.Pod = m[1], m[2]
	if n, err := strconv.ParseInt(m[3], 10, 32); err == nil {
		code := int32(n)
		d.ExitCode = &code
	}
}

// summary is a condition in one line.
func summary(c *Condition) string {
	s := string(c.Type) + "=True"
	if c.Reason != "" {
		s += " (" + c.Reason + ")"
	}
	if c.Message != "" {
		s += ": " + c.Message
	}
	return strings.ToValidUTF8(s, "?")
}

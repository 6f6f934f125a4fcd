package kube

import (
	"regexp"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

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
	note := &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_INFO, Kubernetes: kubernetesRef(o)}
	if failed := c.Type == batchv1.JobFailed; failed || c.Type == batchv1.JobFailureTarget {
		note.Level = resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING
		if failed {
			note.Level = resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR
		}
		cause := conditionCause(c)
		note.Cause = causeDetail(&cause)
	}
	p.Event = &resiliencyv1.PhaseEvent_Noted{Noted: note}
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

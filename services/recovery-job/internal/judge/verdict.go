package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Action is what a verdict asks its caller to do.
type Action string

const (
	// ActionAsk wants an answer first: Need says which.
	ActionAsk Action = "ask"
	// ActionAdopt records what the cluster shows.
	ActionAdopt Action = "adopt"
	// ActionSucceed closes the job as succeeded.
	ActionSucceed Action = "succeed"
	// ActionFail closes the job as failed.
	ActionFail Action = "fail"
	// ActionDelay marks the job as delayed.
	ActionDelay Action = "delay"
	// ActionResume asks the stage's worker to run again.
	ActionResume Action = "resume"
	// ActionLeave leaves the job alone until CheckAfter.
	ActionLeave Action = "leave"
	// ActionWithheld had a verdict that is not carried out in this run.
	ActionWithheld Action = "withheld"
	// ActionCannotJudge has no verdict for want of evidence. Nothing is written.
	ActionCannotJudge Action = "cannot judge"
)

// Need is an answer that a verdict waits for.
type Need string

const (
	// NeedCluster is what the cluster shows; a list of this run will do.
	NeedCluster Need = "cluster"
	// NeedClusterLive is what the API server says now.
	NeedClusterLive Need = "cluster, live"
	// NeedOutput is what the bucket shows.
	NeedOutput Need = "output"
	// NeedPhase is the newest phase of the job.
	NeedPhase Need = "newest phase"
)

// Verdict is what becomes of a job.
type Verdict struct {
	Action Action
	// Need belongs to ActionAsk.
	Need Need
	// Rule is the name of the rule that owns the job; empty when none does.
	Rule string
	// State and Evidence are what the job is given; unspecified when its state is
	// left as it is. Of ActionWithheld they are what it would have been given.
	State    job.State
	Evidence job.Evidence
	// Cause is why the job failed.
	Cause job.Cause
	// Reason says why in a word of a fixed set, fit for a metric.
	Reason Reason
	// Sentence says why to a person, in one line.
	Sentence string
	// Detail is all the evidence, at most job.MaxDetailBytes.
	Detail string
	// Claims are what the caller applies to the record, in this order, by
	// compare-and-set: nothing else is written of the job. Empty for ActionAsk,
	// ActionResume, ActionLeave, ActionWithheld and ActionCannotJudge.
	Claims []job.Observation
	// Resume belongs to ActionResume.
	Resume *Resume
	// CheckAfter is when the job is looked at next. Zero leaves it as it is: the
	// next run looks again, or the change itself sets it.
	CheckAfter time.Time
	// Attention says that the developers are to be told.
	Attention bool
	// User and Developers are the rule's texts, or the sentence.
	User, Developers string
}

// Writes reports whether anything may be written of the job, its next check
// included.
func (v *Verdict) Writes() bool {
	return v.Action != ActionAsk && v.Action != ActionCannotJudge && v.Action != ActionWithheld
}

// FromSilence reports whether the verdict closes a job because nothing is
// there: the kind that a fault of ours could produce by the hundred.
func (v *Verdict) FromSilence() bool {
	return v.State == job.StateFailed && (v.Evidence == job.EvidenceAbsence || v.Evidence == job.EvidenceAssumed)
}

// Resume is a command to be sent.
type Resume struct {
	Stage   string
	Ordinal int32
	// ExpectedAttempt must still be the job's when the worker acts.
	ExpectedAttempt int32
	NewAttempt      int32
	// Before is how often recovery has asked already.
	Before int
	// NotAfter is when the command expires.
	NotAfter time.Time
}

package job

import (
	"fmt"
	"strings"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// The enums are those of the contract: one set of names, so that a record in
// Firestore, a log line and a message never differ in spelling.
type (
	// State is the state of a whole job.
	State = resiliencyv1.JobState
	// Evidence is what a terminal state rests on; a higher one is stronger.
	Evidence = resiliencyv1.Evidence
	// Cause says why a job failed.
	Cause = resiliencyv1.Cause
	// Source says who reports a claim.
	Source = resiliencyv1.Source
)

// The states, in the order that breaks ties between claims of one moment:
// what is further along ranks higher.
const (
	StateUnspecified = resiliencyv1.JobState_JOB_STATE_UNSPECIFIED
	StatePending     = resiliencyv1.JobState_JOB_STATE_PENDING
	StateSuspended   = resiliencyv1.JobState_JOB_STATE_SUSPENDED
	StateRunning     = resiliencyv1.JobState_JOB_STATE_RUNNING
	StateSucceeded   = resiliencyv1.JobState_JOB_STATE_SUCCEEDED
	StateFailed      = resiliencyv1.JobState_JOB_STATE_FAILED
	StateCancelled   = resiliencyv1.JobState_JOB_STATE_CANCELLED
)

// The ranks of evidence, weakest first.
const (
	EvidenceNone      = resiliencyv1.Evidence_EVIDENCE_UNSPECIFIED
	EvidenceAssumed   = resiliencyv1.Evidence_EVIDENCE_ASSUMED
	EvidenceAbsence   = resiliencyv1.Evidence_EVIDENCE_ABSENCE
	EvidenceDeleted   = resiliencyv1.Evidence_EVIDENCE_DELETED
	EvidenceOutput    = resiliencyv1.Evidence_EVIDENCE_OUTPUT
	EvidenceStated    = resiliencyv1.Evidence_EVIDENCE_STATED
	EvidenceCondition = resiliencyv1.Evidence_EVIDENCE_CONDITION
)

// Terminal reports whether a state ends a job.
func Terminal(s State) bool { return s >= StateSucceeded && s <= StateCancelled }

// Final reports whether a state with this evidence can never be reopened by a
// later claim of the same life. Verdicts from absence or assumption are
// terminal but not final: a sign of life reopens the job.
func Final(s State, e Evidence) bool { return Terminal(s) && e >= EvidenceDeleted }

// StateName is the name that records and logs use: the proto name without its
// prefix, for example "SUCCEEDED".
func StateName(s State) string { return strings.TrimPrefix(s.String(), "JOB_STATE_") }

// EvidenceName is the name that records and logs use, for example "CONDITION".
func EvidenceName(e Evidence) string { return strings.TrimPrefix(e.String(), "EVIDENCE_") }

// CauseName is the name that records and logs use, for example "OOM".
func CauseName(c Cause) string { return strings.TrimPrefix(c.String(), "CAUSE_") }

// SourceName is the name that records, logs and metrics use, for example
// "EVENT_STREAMER".
func SourceName(s Source) string { return strings.TrimPrefix(s.String(), "SOURCE_") }

// ParseState reads a name made by StateName.
func ParseState(name string) (State, error) {
	return parse[State](resiliencyv1.JobState_value, "JOB_STATE_", name)
}

// ParseEvidence reads a name made by EvidenceName.
func ParseEvidence(name string) (Evidence, error) {
	return parse[Evidence](resiliencyv1.Evidence_value, "EVIDENCE_", name)
}

// ParseCause reads a name made by CauseName.
func ParseCause(name string) (Cause, error) {
	return parse[Cause](resiliencyv1.Cause_value, "CAUSE_", name)
}

// ParseSource reads a name made by SourceName.
func ParseSource(name string) (Source, error) {
	return parse[Source](resiliencyv1.Source_value, "SOURCE_", name)
}

func parse[E ~int32](values map[string]int32, prefix, name string) (E, error) {
	v, ok := values[prefix+name]
	if !ok {
		return 0, fmt.Errorf("%s%s is no value that this release knows", prefix, name)
	}
	return E(v), nil
}

package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// Probe says how far a question has come.
type Probe uint8

const (
	// NotAsked is the zero value: nothing may be concluded.
	NotAsked Probe = iota
	// Answered means that the answer holds.
	Answered
	// Failed means that there is no answer; Fault says why.
	Failed
)

// Fault is why a question has no answer.
type Fault struct {
	// Kind sorts the fault.
	Kind FaultKind
	// Err is what the API said, one line for a person.
	Err string
}

// FaultKind sorts faults by who has to act.
type FaultKind string

const (
	// FaultUnavailable may pass by itself: down, slow, overloaded.
	FaultUnavailable FaultKind = "UNAVAILABLE"
	// FaultRefused needs somebody to grant a right.
	FaultRefused FaultKind = "REFUSED"
	// FaultMisconfigured needs somebody to mend a name: a bucket that does not
	// exist, a place that is none, a namespace that is not on the list.
	FaultMisconfigured FaultKind = "MISCONFIGURED"
)

// Evidence is all that a job is judged by. Zero answers are asked for.
type Evidence struct {
	// Now is the moment of judging.
	Now time.Time
	// Record is what is known of the job.
	Record *job.Record
	// UpdatedAt is when the record last changed; zero when the store does not say.
	UpdatedAt time.Time
	// Resumes is what recovery has already asked for.
	Resumes Resumes
	// Cluster to Phase are answers to Probes; Pipeline is read once for a run.
	Cluster  Cluster
	Output   Output
	Phase    Phase
	Pipeline Pipeline
}

// Resumes is what recovery has asked a job's workers for.
type Resumes struct {
	// Asked is how many times.
	Asked int
	// OpenUntil is when the last command expires; zero when there was none.
	OpenUntil time.Time
	// Attempt is the attempt that the job was in when last asked.
	Attempt int32
}

// Phase is the newest phase of a job.
type Phase struct {
	Probe Probe
	Fault Fault
	// At is when it occurred; zero when the job has none.
	At time.Time
	// Name is for people.
	Name string
}

// PhaseQuery asks for the newest phase.
type PhaseQuery struct{ JobID string }

// Home says which jobs are this process's to judge.
type Home struct {
	// Cluster is the name of the cluster that this process can ask.
	Cluster string
	// Unclaimed says that records that name no cluster yet are judged here. With
	// several clusters exactly one recovery-job does.
	Unclaimed bool
	// Reporter names this process, for people.
	Reporter string
}

// Judge judges jobs. It is safe for concurrent use.
type Judge struct {
	Home  Home
	Rules *rules.Set
}

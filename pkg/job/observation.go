package job

import (
	"math"
	"time"
)

// The default stages of the pipeline. A team may add its own: ordinals travel
// with every message, so services need not share a list.
const (
	StageBackend       = "backend"
	StageFaceDetection = "face-detection"
	StageKubernetes    = "kubernetes"

	OrdinalBackend       int32 = 10
	OrdinalFaceDetection int32 = 20
	OrdinalKubernetes    int32 = 30
	// OrdinalWholeJob ranks a statement about the whole job, such as a user's
	// cancel, above every stage.
	OrdinalWholeJob int32 = math.MaxInt32
)

// Precision is that of every time in a record. Firestore keeps microseconds;
// a claim is cut to them before it is merged, or a record read back would
// differ from the one written.
const Precision = time.Microsecond

// Kind says what an observation claims.
type Kind uint8

const (
	// KindStatus claims a state of the job.
	KindStatus Kind = iota + 1
	// KindCause claims why a life of the job fails; it never touches the status.
	KindCause
	// KindVanished claims that the Kubernetes Job is gone, its end unseen.
	KindVanished
	// KindDelay claims that the job began or ceased to wait for room.
	KindDelay
)

// Kubernetes names one Kubernetes Job. The zero value means none.
type Kubernetes struct {
	Cluster   string
	Namespace string
	Name      string
	// UID is metadata.uid: it tells apart Jobs that share a name.
	UID string
	// CreatedAt is metadata.creationTimestamp, to the second.
	CreatedAt time.Time
	// End says what the end of the Job means for the whole job, as declared on it.
	End StageEnd
}

// StageEnd says what the success of a Kubernetes Job means for the whole job.
// The values are in the order in which they hold against each other: who knows
// before who does not, and that a job goes on before that it ends, for a wrong
// end cannot be taken back.
type StageEnd uint8

const (
	// StageEndUnknown means that the reporter did not see the Job itself.
	StageEndUnknown StageEnd = iota
	// StageEndsJob means that the stage is declared final.
	StageEndsJob
	// StageGoesOn means that a later stage follows.
	StageGoesOn
)

// CauseDetail is a cause with the raw facts that it was judged by.
type CauseDetail struct {
	Cause Cause
	// Message is one line for a person, taken from the object as it is.
	Message string
	// Reason is the reason string of the condition or container that decided.
	Reason    string
	Pod       string
	Container string
	// ExitCode is nil when no container ended.
	ExitCode *int32
	Node     string
}

// Observation is one claim about a job. Which fields count depends on Kind;
// the head (JobID to Source) counts always.
type Observation struct {
	// EventID is the UUIDv5 of the fact; it serves logs and never the merge.
	EventID string
	// OccurredAt is when the fact became true, from the object observed.
	OccurredAt time.Time
	JobID      string
	// Attempt is the number of the run, 1 to 100.
	Attempt int32
	// Ordinal and Stage say where in the pipeline the claim belongs.
	Ordinal int32
	Stage   string
	// CorrelationID, Owner, Tenant and OutputURI describe the job; each may be
	// empty.
	CorrelationID string
	Source        Source
	// Reporter names the process that reports; it serves logs and never the merge.
	Reporter  string
	Owner     string
	Tenant    string
	OutputURI string
	// Kubernetes is the Job that the claim is about; its CreatedAt and UID
	// complete the leg.
	Kubernetes Kubernetes

	Kind Kind

	// State to Detail belong to KindStatus.
	State    State
	Evidence Evidence
	// StageDone says that the stage ended well and the job goes on; State is
	// then RUNNING.
	StageDone bool
	// Generation is that of the object's desired state, 0 when unknown: it tells
	// apart a suspend and a resume within one second.
	Generation int64
	// Detail is what was seen that led to a verdict, at most 32 KiB.
	Detail string

	// Cause belongs to KindCause, and to KindStatus when State is FAILED or
	// CANCELLED.
	Cause CauseDetail

	// Delayed and DelayReason belong to KindDelay.
	Delayed     bool
	DelayReason string
	// LastState belongs to KindVanished: the last state that was seen.
	LastState State
}

// Limits of what a claim may carry, in bytes; longer text is cut.
const (
	MaxMessageBytes = 1 << 10
	MaxDetailBytes  = 32 << 10
)

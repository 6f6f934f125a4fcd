package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// ClusterQuery asks a cluster for a job.
type ClusterQuery struct {
	JobID string
	// Namespace, Name and UID are those of the Kubernetes Job on record; empty
	// when none is.
	Namespace, Name, UID string
	// Live asks the API server now, where a list made earlier would do.
	Live bool
}

// Cluster is what the cluster shows of a job, by UID and by label.
type Cluster struct {
	Probe Probe
	Fault Fault
	// Live says that every part of the answer was read after the question.
	Live bool
	// At is when the answer was true: when the list was made, or now.
	At time.Time
	// Jobs are the Kubernetes Jobs of the job, whatever their attempt.
	Jobs []FoundJob
	// Pods are names of the job's pods that have not ended and whose Kubernetes
	// Job is not among Jobs.
	Pods []string
}

// FoundJob is one Kubernetes Job.
type FoundJob struct {
	// Head is what every claim about it carries. Its JobID is empty when the
	// object cannot be read; Problem then says why.
	Head    job.Observation
	Problem string
	// Claims are all that the object says.
	Claims []job.Observation
	Stand  Stand
	// Decided is the end that is decided but not carried out, in StandEnding.
	Decided []job.Observation
	// Since is when the stand came about, as the objects tell; of StandEnding,
	// when the last pod should have been gone.
	Since time.Time
	// Live counts the pods that have not ended; of StandEnding, those that were
	// not even told to end.
	Live int
	// Wait and Message belong to StandWaiting and StandSuspended.
	Wait Wait
	// Message is the cluster's own word, one line.
	Message string
	// Deleting says that deletion was asked for.
	Deleting bool
}

// Stand is how a Kubernetes Job stands.
type Stand string

const (
	// StandEnded has Complete=True or Failed=True.
	StandEnded Stand = "ENDED"
	// StandEnding has FailureTarget or SuccessCriteriaMet: its end is decided.
	StandEnding Stand = "ENDING"
	// StandRunning has a pod at work, or between two tries.
	StandRunning Stand = "RUNNING"
	// StandWaiting has pods, or none yet, that cannot start.
	StandWaiting Stand = "WAITING"
	// StandSuspended is suspended, by a person or by a queue.
	StandSuspended Stand = "SUSPENDED"
)

// Wait is what a Kubernetes Job waits for.
type Wait string

const (
	// WaitNone means that nothing says what it waits for.
	WaitNone Wait = ""
	// WaitRoom means that no node has room.
	WaitRoom Wait = "ROOM"
	// WaitQuota means that a quota of the namespace is used up.
	WaitQuota Wait = "QUOTA"
	// WaitQueue means that a queue (Kueue) has not admitted it.
	WaitQueue Wait = "QUEUE"
	// WaitImage means that an image cannot be had.
	WaitImage Wait = "IMAGE"
	// WaitConfig means that a container's configuration is wrong or absent.
	WaitConfig Wait = "CONFIG"
)

// Load reports whether it is high load that the Job waits for: it will go on by
// itself when there is room.
func (w Wait) Load() bool { return w == WaitRoom || w == WaitQuota || w == WaitQueue }

package judge

import (
	"time"

	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// OutputQuery asks a bucket for a run's output.
type OutputQuery struct {
	// URI is the place that the record names, as gs://bucket/prefix/.
	URI string
	// JobID, Attempt and UID are what a marker may carry; UID may be empty.
	JobID   string
	Attempt int32
	UID     string
	// Started is when this attempt began; zero when unknown.
	Started time.Time
	// Want is what the rule takes for success.
	Want rules.Output
	// Now is the moment of judging.
	Now time.Time
}

// Output is what the bucket shows of a run.
type Output struct {
	Probe   Probe
	Fault   Fault
	Finding Finding
	// At is when what was found was written; zero when nothing was.
	At time.Time
	// Newest is the youngest object below the prefix, whoever wrote it.
	Newest time.Time
	// Objects counts objects below the prefix, at least.
	Objects int
	// Note is one line for a person: what is wrong with the marker, for example.
	Note string
}

// Finding is what the output amounts to.
type Finding string

const (
	// OutputNone means that there is nothing to look at: no place is declared, or
	// the rule does not look.
	OutputNone Finding = "NONE"
	// OutputEmpty means that the place was read and holds nothing.
	OutputEmpty Finding = "EMPTY"
	// OutputMarked means a marker of this very run.
	OutputMarked Finding = "MARKED"
	// OutputObjects means objects of this run where the rule takes any.
	OutputObjects Finding = "OBJECTS"
	// OutputIncomplete means objects of this run but no marker.
	OutputIncomplete Finding = "INCOMPLETE"
	// OutputOld means a marker, or objects, of before this run.
	OutputOld Finding = "OLD"
	// OutputForeign means a marker that names another job, run or UID.
	OutputForeign Finding = "FOREIGN"
	// OutputUnsigned means a marker of this run's time that names nobody.
	OutputUnsigned Finding = "UNSIGNED"
	// OutputUndated means that there is output but nobody knows when the run began.
	OutputUndated Finding = "UNDATED"
	// OutputUnsettled means that something was written just now.
	OutputUnsettled Finding = "UNSETTLED"
)

package job

import resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"

// The causes of the contract under the names of this package.
const (
	CauseUnspecified   = resiliencyv1.Cause_CAUSE_UNSPECIFIED
	CauseOOM           = resiliencyv1.Cause_CAUSE_OOM
	CauseEvicted       = resiliencyv1.Cause_CAUSE_EVICTED
	CausePreempted     = resiliencyv1.Cause_CAUSE_PREEMPTED
	CauseDeadline      = resiliencyv1.Cause_CAUSE_DEADLINE
	CauseImage         = resiliencyv1.Cause_CAUSE_IMAGE
	CauseNodeLost      = resiliencyv1.Cause_CAUSE_NODE_LOST
	CauseAppExit       = resiliencyv1.Cause_CAUSE_APP_EXIT
	CauseBackoffLimit  = resiliencyv1.Cause_CAUSE_BACKOFF_LIMIT
	CausePolicy        = resiliencyv1.Cause_CAUSE_POLICY
	CauseFailedIndexes = resiliencyv1.Cause_CAUSE_FAILED_INDEXES
	CauseConfig        = resiliencyv1.Cause_CAUSE_CONFIG
	CauseUnschedulable = resiliencyv1.Cause_CAUSE_UNSCHEDULABLE
	CauseQuota         = resiliencyv1.Cause_CAUSE_QUOTA
	CauseDeleted       = resiliencyv1.Cause_CAUSE_DELETED
	CauseLost          = resiliencyv1.Cause_CAUSE_LOST
	CauseSilent        = resiliencyv1.Cause_CAUSE_SILENT
	CauseUndeliverable = resiliencyv1.Cause_CAUSE_UNDELIVERABLE
	CauseUser          = resiliencyv1.Cause_CAUSE_USER
	CauseOther         = resiliencyv1.Cause_CAUSE_OTHER
)

// Specificity ranks causes by how much they explain, 0 for none: what happened
// to a container explains more than what the Job made of it, and that more
// than what was concluded from silence. No two causes share a rank.
func Specificity(c Cause) int {
	switch c {
	case CauseUser:
		return 19
	case CauseOOM:
		return 18
	case CausePreempted:
		return 17
	case CauseEvicted:
		return 16
	case CauseNodeLost:
		return 15
	case CauseImage:
		return 14
	case CauseConfig:
		return 13
	case CauseQuota:
		return 12
	case CauseUnschedulable:
		return 11
	case CausePolicy:
		return 10
	case CauseDeadline:
		return 9
	case CauseAppExit:
		return 8
	case CauseFailedIndexes:
		return 7
	case CauseBackoffLimit:
		return 6
	case CauseDeleted:
		return 5
	case CauseUndeliverable:
		return 4
	case CauseLost:
		return 3
	case CauseSilent:
		return 2
	case CauseOther:
		return 1
	default:
		return 0
	}
}

// sourceRank orders sources by how well they know what a job is: the cluster's
// own objects first, read by either watcher alike, then the product, then what
// was pieced together.
func sourceRank(s Source) int32 {
	switch s {
	case resiliencyv1.Source_SOURCE_EVENT_STREAMER, resiliencyv1.Source_SOURCE_LOG_WITNESS:
		return 1
	case resiliencyv1.Source_SOURCE_SDK:
		return 2
	case resiliencyv1.Source_SOURCE_RECOVERY_JOB:
		return 3
	case resiliencyv1.Source_SOURCE_KUBERNETES_EVENT:
		return 4
	default:
		return 5
	}
}

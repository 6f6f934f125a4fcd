package jobevent

import (
	"fmt"
	"strings"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// text is the sentence that the user reads: what is, and why, without a word
// that only we understand.
func text(u *resiliencyv1.JobUpdate, is *job.View) string {
	id := u.GetJobId()
	switch e := u.GetEvent().(type) {
	case *resiliencyv1.JobUpdate_Running:
		return fmt.Sprintf("Job %s is running.", id)
	case *resiliencyv1.JobUpdate_Delayed:
		return fmt.Sprintf("Job %s waits for room in the cluster and starts as soon as there is some%s.", id, because(is.DelayReason))
	case *resiliencyv1.JobUpdate_Resumed:
		return fmt.Sprintf("Job %s goes on; it is %s now.", id, plain(is.State))
	case *resiliencyv1.JobUpdate_Corrected:
		return fmt.Sprintf("Job %s: we told you that it %s, and that was wrong. It %s%s.",
			id, ended(e.Corrected.GetFromState()), ended(is.State), why(is))
	default:
		return fmt.Sprintf("Job %s %s%s.", id, ended(is.State), why(is))
	}
}

func plain(s job.State) string { return strings.ToLower(job.StateName(s)) }

func ended(s job.State) string {
	switch s {
	case job.StateSucceeded:
		return "succeeded"
	case job.StateCancelled:
		return "was cancelled"
	default:
		return plain(s)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + job.Cut(strings.TrimRight(reason, ". \n"), 300) + ")"
}

// why names the cause in words, with what Kubernetes said.
func why(is *job.View) string {
	phrase := causePhrase(is.Cause.Cause)
	if phrase == "" {
		return because(is.Cause.Message)
	}
	return ": " + phrase + because(is.Cause.Message)
}

func causePhrase(c job.Cause) string {
	switch c {
	case job.CauseOOM:
		return "a container needed more memory than its limit"
	case job.CauseEvicted:
		return "a pod was evicted from its node"
	case job.CausePreempted:
		return "a pod had to give way to one of higher priority"
	case job.CauseDeadline:
		return "it ran longer than its deadline"
	case job.CauseImage:
		return "an image could not be pulled"
	case job.CauseNodeLost:
		return "a node was lost"
	case job.CauseAppExit:
		return "a container ended with an error"
	case job.CauseBackoffLimit:
		return "more pods failed than it allows"
	case job.CausePolicy:
		return "a rule of its pod failure policy ended it"
	case job.CauseFailedIndexes:
		return "too many of its indexes failed"
	case job.CauseConfig:
		return "a container could not be created"
	case job.CauseUnschedulable:
		return "no node had room for it"
	case job.CauseQuota:
		return "a quota or an admission rule refused its pods"
	case job.CauseDeleted:
		return "it was deleted before its end"
	case job.CauseLost:
		return "it is gone from its cluster and left no output"
	case job.CauseSilent:
		return "nothing was heard of it for too long"
	case job.CauseUndeliverable:
		return "a command for it could not be delivered"
	case job.CauseUser:
		return "it was asked for"
	default:
		return ""
	}
}

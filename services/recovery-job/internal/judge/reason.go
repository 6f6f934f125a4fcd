package judge

// Reason says in a word why a verdict is what it is. The set is closed, so that
// it can be a label of a metric.
type Reason string

// Reasons of ActionAdopt: the cluster knows.
const (
	// ReasonEnded: the Kubernetes Job has ended, which the record did not know.
	ReasonEnded Reason = "ENDED"
	// ReasonStageEnded: it has ended well, and a later stage follows.
	ReasonStageEnded Reason = "STAGE_ENDED"
	// ReasonEndDecided: its end was decided long ago and cannot be carried out,
	// since a node is dead.
	ReasonEndDecided Reason = "END_DECIDED"
	// ReasonNews: it lives, and says what the record did not know.
	ReasonNews Reason = "NEWS"
)

// Reasons of ActionSucceed and ActionFail, and of ActionWithheld beside its own.
const (
	// ReasonMarker: gone, and its marker is there.
	ReasonMarker Reason = "MARKER"
	// ReasonObjects: gone, and it has written output, which is enough by its rule.
	ReasonObjects Reason = "OBJECTS"
	// ReasonStageOutput: gone with its output there, and a later stage follows.
	ReasonStageOutput Reason = "STAGE_OUTPUT"
	// ReasonGone: gone, and there is no output.
	ReasonGone Reason = "GONE"
	// ReasonGoneUndeclared: gone, and there is no place where output could be.
	ReasonGoneUndeclared Reason = "GONE_UNDECLARED"
	// ReasonGoneIncomplete: gone, with output but without a marker.
	ReasonGoneIncomplete Reason = "GONE_INCOMPLETE"
	// ReasonGoneOld: gone, and the output is that of an earlier run.
	ReasonGoneOld Reason = "GONE_OLD"
	// ReasonGoneForeign: gone, and the marker is that of another run or job.
	ReasonGoneForeign Reason = "GONE_FOREIGN"
	// ReasonSilent: nothing is found and nothing was heard.
	ReasonSilent Reason = "SILENT"
	// ReasonResumesSpent: resumed as often as its rule allows.
	ReasonResumesSpent Reason = "RESUMES_SPENT"
	// ReasonAttemptsSpent: it had as many attempts as a job may have.
	ReasonAttemptsSpent Reason = "ATTEMPTS_SPENT"
	// ReasonHardLimit: silent beyond the hard limit, whoever is silent.
	ReasonHardLimit Reason = "HARD_LIMIT"
)

// Reasons of ActionDelay and ActionResume.
const (
	// ReasonRoom: no node has room.
	ReasonRoom Reason = "ROOM"
	// ReasonQuota: a quota is used up.
	ReasonQuota Reason = "QUOTA"
	// ReasonQueue: a queue has not admitted it.
	ReasonQueue Reason = "QUEUE"
	// ReasonLate: silent, and its rule says that it is late.
	ReasonLate Reason = "LATE"
	// ReasonResume: silent, and its rule says to run again.
	ReasonResume Reason = "RESUME"
)

// Reasons of ActionLeave.
const (
	// ReasonOver: the job is over already.
	ReasonOver Reason = "OVER"
	// ReasonNotDue: its rule's time has not come.
	ReasonNotDue Reason = "NOT_DUE"
	// ReasonNoRule: no rule describes it.
	ReasonNoRule Reason = "NO_RULE"
	// ReasonOtherCluster: another cluster's recovery-job judges it.
	ReasonOtherCluster Reason = "OTHER_CLUSTER"
	// ReasonRunning: it runs.
	ReasonRunning Reason = "RUNNING"
	// ReasonRunningLong: it runs, for longer than its rule expects.
	ReasonRunningLong Reason = "RUNNING_LONG"
	// ReasonWaiting: it waits for what more room will not bring.
	ReasonWaiting Reason = "WAITING"
	// ReasonDelayed: it waits for room, and its user knows.
	ReasonDelayed Reason = "DELAYED"
	// ReasonSuspended: a person has suspended it.
	ReasonSuspended Reason = "SUSPENDED"
	// ReasonEnding: its end is decided and has time left.
	ReasonEnding Reason = "ENDING"
	// ReasonDeleting: it is being deleted. Also of ActionAdopt, when it says what the
	// record did not know.
	ReasonDeleting Reason = "DELETING"
	// ReasonOldRun: an earlier run of it still lives.
	ReasonOldRun Reason = "OLD_RUN"
	// ReasonOrphan: a pod of it lives on without its Kubernetes Job.
	ReasonOrphan Reason = "ORPHAN"
	// ReasonNewerPhase: it was not silent: its newest phase is young.
	ReasonNewerPhase Reason = "NEWER_PHASE"
	// ReasonUnsettled: something still writes its output.
	ReasonUnsettled Reason = "UNSETTLED"
	// ReasonResuming: it was asked to run again and has time left.
	ReasonResuming Reason = "RESUMING"
	// ReasonPipelineSilent: the pipeline may be what is silent.
	ReasonPipelineSilent Reason = "PIPELINE_SILENT"
	// ReasonInvestigate: its rule leaves it to people.
	ReasonInvestigate Reason = "INVESTIGATE"
	// ReasonClock: it was last heard of a moment ahead of this clock.
	ReasonClock Reason = "CLOCK"
)

// ReasonMassFailure is that of ActionWithheld.
const ReasonMassFailure Reason = "MASS_FAILURE"

// Reasons of ActionCannotJudge.
const (
	// ReasonClusterUnavailable: the API server did not answer.
	ReasonClusterUnavailable Reason = "CLUSTER_UNAVAILABLE"
	// ReasonClusterRefused: this process may not look.
	ReasonClusterRefused Reason = "CLUSTER_REFUSED"
	// ReasonNamespace: its namespace is not on this process's list.
	ReasonNamespace Reason = "NAMESPACE"
	// ReasonJobUnreadable: its Kubernetes Job has a label or annotation that
	// cannot be read.
	ReasonJobUnreadable Reason = "JOB_UNREADABLE"
	// ReasonOutputUnavailable: the bucket did not answer.
	ReasonOutputUnavailable Reason = "OUTPUT_UNAVAILABLE"
	// ReasonOutputRefused: this process may not read the bucket.
	ReasonOutputRefused Reason = "OUTPUT_REFUSED"
	// ReasonOutputMisconfigured: the bucket does not exist, or the place is none.
	ReasonOutputMisconfigured Reason = "OUTPUT_MISCONFIGURED"
	// ReasonOutputUndated: there is output, but nobody knows when the run began.
	ReasonOutputUndated Reason = "OUTPUT_UNDATED"
	// ReasonOutputUnsigned: there is a marker that names nobody.
	ReasonOutputUnsigned Reason = "OUTPUT_UNSIGNED"
	// ReasonPhasesUnavailable: the newest phase could not be read.
	ReasonPhasesUnavailable Reason = "PHASES_UNAVAILABLE"
	// ReasonTimesMissing: nothing of the record is dated.
	ReasonTimesMissing Reason = "TIMES_MISSING"
	// ReasonTimesFuture: the record is dated far ahead of this clock.
	ReasonTimesFuture Reason = "TIMES_FUTURE"
	// ReasonUnanswered: a probe left its question open.
	ReasonUnanswered Reason = "UNANSWERED"
	// ReasonVoid: the verdict would not hold against what the record knows.
	ReasonVoid Reason = "VOID"
	// ReasonBadRecord: the record has no valid job id.
	ReasonBadRecord Reason = "BAD_RECORD"
)

package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// row is a case and what must become of it.
type row struct {
	name     string
	record   *job.Record
	world    *world
	edit     func(*Judge, *Evidence)
	action   Action
	reason   Reason
	state    job.State
	evidence job.Evidence
	told     bool
	// after is when the job is looked at next; not compared when zero.
	after time.Time
}

var recordRows = []row{
	{name: "over", record: record(said(ago(time.Hour), state(job.StateSucceeded, job.EvidenceCondition))), action: ActionLeave, reason: ReasonOver},
	{name: "over_by_absence", record: record(said(ago(time.Hour), state(job.StateFailed, job.EvidenceAbsence))), action: ActionLeave, reason: ReasonOver},
	{name: "no_job_id", record: &job.Record{}, action: ActionCannotJudge, reason: ReasonBadRecord, told: true},
	{name: "no_record", action: ActionCannotJudge, reason: ReasonBadRecord, told: true},
	{name: "a_path_for_an_id", record: &job.Record{JobID: "../x"}, action: ActionCannotJudge, reason: ReasonBadRecord, told: true},
	{name: "other_cluster", record: running(func(o *job.Observation) { o.Kubernetes.Cluster = "c2" }), action: ActionLeave, reason: ReasonOtherCluster},
	{
		name: "no_cluster_and_not_ours", record: backend(), action: ActionLeave, reason: ReasonOtherCluster,
		edit: func(j *Judge, _ *Evidence) { j.Home.Unclaimed = false },
	},
	{
		name: "unknown_stage", record: backend(func(o *job.Observation) { o.Stage = "thumbnails" }),
		action: ActionLeave, reason: ReasonNoRule, told: true, after: now().Add(2 * time.Hour),
	},
	{
		name: "unknown_stage_that_a_rule_takes", record: backend(owner("look"), func(o *job.Observation) { o.Stage = "thumbnails" }),
		action: ActionLeave, reason: ReasonInvestigate, told: true,
	},
	{name: "no_stage", record: backend(owner("look"), func(o *job.Observation) { o.Stage, o.Ordinal = "", 0 }), action: ActionLeave, reason: ReasonInvestigate, told: true},
	{name: "not_due", record: record(said(ago(20 * time.Minute))), action: ActionLeave, reason: ReasonNotDue, after: now().Add(40 * time.Minute)},
	{
		name: "changed_lately", record: backend(), action: ActionLeave, reason: ReasonNotDue, after: now().Add(59 * time.Minute),
		edit: func(_ *Judge, e *Evidence) { e.UpdatedAt = ago(time.Minute) },
	},
	{
		name: "changed_in_the_future_counts_not", record: backend(), action: ActionResume, reason: ReasonResume,
		edit: func(_ *Judge, e *Evidence) { e.UpdatedAt = now().Add(time.Hour) },
	},
	{
		name: "vanished_is_due_at_once", record: record(said(ago(5*time.Minute), inCluster("u-1", ago(time.Hour)), writes, func(o *job.Observation) {
			o.Kind, o.LastState = job.KindVanished, job.StateRunning
		}), said(ago(6*time.Minute), inCluster("u-1", ago(time.Hour)))),
		action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{
		name: "vanished_after_its_last_phase", record: record(said(ago(6*time.Minute), inCluster("u-1", ago(time.Hour)), writes), said(ago(5*time.Minute), inCluster("u-1", ago(time.Hour)), func(o *job.Observation) {
			o.Kind, o.LastState = job.KindVanished, job.StateRunning
		})),
		world:  with(func(w *world) { w.phase.At = ago(6 * time.Minute) }),
		edit:   func(_ *Judge, e *Evidence) { e.UpdatedAt = ago(5 * time.Minute) },
		action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{
		name: "a_phase_after_it_vanished", record: record(said(ago(6*time.Minute), inCluster("u-1", ago(time.Hour)), writes), said(ago(5*time.Minute), inCluster("u-1", ago(time.Hour)), func(o *job.Observation) {
			o.Kind, o.LastState = job.KindVanished, job.StateRunning
		})),
		world:  with(func(w *world) { w.phase.At = ago(2 * time.Minute) }),
		edit:   func(_ *Judge, e *Evidence) { e.UpdatedAt = ago(5 * time.Minute) },
		action: ActionLeave, reason: ReasonNewerPhase, after: now().Add(58 * time.Minute),
	},
	{name: "nothing_is_dated", record: record(said(time.Time{})), action: ActionCannotJudge, reason: ReasonTimesMissing, told: true},
	{
		name: "nothing_is_dated_but_gone", record: record(said(time.Time{}, inCluster("u-1", time.Time{}))),
		action: ActionFail, reason: ReasonGoneUndeclared, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{
		name: "dated_a_little_ahead", record: record(said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes), said(now().Add(5*time.Minute), inCluster("u-1", ago(3*time.Hour)))),
		action: ActionLeave, reason: ReasonClock, after: now().Add(5*time.Minute + time.Second),
		edit: func(_ *Judge, e *Evidence) { e.UpdatedAt = ago(2 * time.Hour) },
	},
	{
		name: "dated_far_ahead", record: record(said(now().Add(24*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes)),
		action: ActionCannotJudge, reason: ReasonTimesFuture, told: true,
	},
	{
		name: "dated_far_ahead_but_ended", record: record(said(now().Add(24*time.Hour), inCluster("u-1", ago(3*time.Hour)))),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition)))))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{name: "only_a_mark", record: record(said(ago(2*time.Hour), func(o *job.Observation) { o.Kind, o.Delayed = job.KindDelay, true })), action: ActionResume, reason: ReasonResume},
}

var clusterRows = []row{
	{
		name: "api_server_down", record: running(), world: with(cluster(Cluster{Probe: Failed, Fault: broken(FaultUnavailable)})),
		action: ActionCannotJudge, reason: ReasonClusterUnavailable, told: true,
	},
	{
		name: "api_server_refuses", record: running(), world: with(cluster(Cluster{Probe: Failed, Fault: broken(FaultRefused)})),
		action: ActionCannotJudge, reason: ReasonClusterRefused, told: true,
	},
	{
		name: "namespace_not_on_the_list", record: running(), world: with(cluster(Cluster{Probe: Failed, Fault: broken(FaultMisconfigured)})),
		action: ActionCannotJudge, reason: ReasonNamespace, told: true,
	},
	{
		name: "down_before_kubernetes", record: backend(), world: with(cluster(Cluster{Probe: Failed, Fault: broken(FaultUnavailable)})),
		action: ActionCannotJudge, reason: ReasonClusterUnavailable, told: true,
	},
	{name: "no_answer_at_all", record: running(), world: with(cluster(Cluster{})), action: ActionCannotJudge, reason: ReasonUnanswered, told: true},
	{
		name: "complete", record: running(),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition)))))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{
		name: "failed", record: running(),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition)))))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateFailed, evidence: job.EvidenceCondition,
	},
	{
		name: "complete_though_stuck_in_backend", record: backend(),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition)))))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{
		name: "complete_and_a_stage_follows", record: running(goesOn),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), goesOn, stageDone))))),
		action: ActionAdopt, reason: ReasonStageEnded, state: job.StateRunning,
	},
	{
		name: "recreated_under_its_name", record: running(),
		world: with(cluster(shown(
			kubeJob(StandEnded, said(ago(time.Hour), inCluster("u-2", ago(2*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition))),
			kubeJob(StandEnded, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition))),
		))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{
		name: "end_of_an_earlier_attempt", record: backend(attempt(2)),
		world:  with(cluster(shown(kubeJob(StandEnded, said(ago(4*time.Hour), inCluster("u-1", ago(5*time.Hour)), state(job.StateFailed, job.EvidenceCondition)))))),
		action: ActionResume, reason: ReasonResume,
	},
	{
		name: "decided_beyond_grace", record: running(),
		world:  with(cluster(shown(ending(ago(11*time.Minute), said(ago(20*time.Minute), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition)), 0)))),
		action: ActionAdopt, reason: ReasonEndDecided, state: job.StateFailed, evidence: job.EvidenceCondition,
	},
	{
		name: "success_decided_beyond_grace", record: running(),
		world:  with(cluster(shown(ending(ago(11*time.Minute), said(ago(20*time.Minute), inCluster("u-1", ago(3*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition)), 0)))),
		action: ActionAdopt, reason: ReasonEndDecided, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{
		name: "decided_within_grace", record: running(),
		world:  with(cluster(shown(ending(ago(9*time.Minute), said(ago(20*time.Minute), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition)), 0)))),
		action: ActionLeave, reason: ReasonEnding, after: now().Add(time.Minute),
	},
	{
		name: "decided_but_a_pod_works_on", record: running(),
		world:  with(cluster(shown(ending(ago(time.Hour), said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition)), 1)))),
		action: ActionLeave, reason: ReasonEnding,
	},
	{
		name: "runs", record: running(), world: with(cluster(shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes))))),
		action: ActionLeave, reason: ReasonRunning, after: now().Add(2 * time.Hour),
	},
	{
		name: "runs_for_days", record: record(said(ago(80*time.Hour), inCluster("u-1", ago(81*time.Hour)))),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(80*time.Hour), inCluster("u-1", ago(81*time.Hour))))))),
		action: ActionLeave, reason: ReasonRunningLong, told: true, after: now().Add(24 * time.Hour),
	},
	{
		name: "runs_unknown_to_the_record", record: backend(), world: with(cluster(shown(kubeJob(StandRunning, said(ago(time.Hour), inCluster("u-1", ago(time.Hour))))))),
		action: ActionAdopt, reason: ReasonNews, state: job.StateRunning,
	},
	{
		name: "no_room", record: running(state(job.StatePending, 0)),
		world:  with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StatePending, 0)), waits(WaitRoom))))),
		action: ActionDelay, reason: ReasonRoom,
	},
	{
		name: "no_quota", record: running(state(job.StatePending, 0)),
		world:  with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StatePending, 0)), waits(WaitQuota))))),
		action: ActionDelay, reason: ReasonQuota,
	},
	{
		name: "not_admitted_by_the_queue", record: running(state(job.StatePending, 0)),
		world:  with(cluster(shown(kubeJob(StandSuspended, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateSuspended, 0)), waits(WaitQueue))))),
		action: ActionDelay, reason: ReasonQueue,
	},
	{
		name: "its_user_knows_that_it_waits", record: delayed(ago(100 * time.Minute)),
		world:  with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StatePending, 0)), waits(WaitRoom))))),
		action: ActionLeave, reason: ReasonDelayed,
	},
	{
		name: "waits_a_second_time", record: delayed(ago(150 * time.Minute)), // before its status changed
		world:  with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StatePending, 0)), waits(WaitRoom))))),
		action: ActionDelay, reason: ReasonRoom,
	},
	{
		name: "suspended_by_a_person", record: running(state(job.StateSuspended, 0)),
		world:  with(cluster(shown(kubeJob(StandSuspended, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StateSuspended, 0)))))),
		action: ActionLeave, reason: ReasonSuspended,
	},
	{
		name: "waits_for_an_image", record: running(state(job.StatePending, 0)),
		world:  with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StatePending, 0)), waits(WaitImage))))),
		action: ActionLeave, reason: ReasonWaiting, told: true,
	},
	{
		name: "waits_and_nothing_says_why", record: running(state(job.StatePending, 0)),
		world: with(cluster(shown(kubeJob(StandWaiting, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StatePending, 0)),
			func(f *FoundJob) { f.Message = "" })))),
		action: ActionLeave, reason: ReasonWaiting, told: true,
	},
	{
		name: "is_being_deleted", record: running(),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes), deleting)))),
		action: ActionLeave, reason: ReasonDeleting, told: true,
	},
	{
		name: "is_being_deleted_in_the_foreground", record: running(generation(1)),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, generation(2)), deleting)))),
		action: ActionLeave, reason: ReasonDeleting, told: true, after: now().Add(2 * time.Hour),
	},
	{
		name: "suspended_and_being_deleted", record: running(state(job.StateSuspended, 0), generation(2)),
		world: with(cluster(shown(kubeJob(StandSuspended,
			said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StateSuspended, 0), generation(3)), waits(WaitQueue), deleting)))),
		action: ActionLeave, reason: ReasonDeleting, told: true,
	},
	{
		name: "waits_for_room_and_is_being_deleted", record: running(state(job.StatePending, 0)),
		world: with(cluster(shown(kubeJob(StandWaiting,
			said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, state(job.StatePending, 0)), waits(WaitRoom), deleting)))),
		action: ActionLeave, reason: ReasonDeleting, told: true,
	},
	{
		name: "is_being_deleted_and_the_record_knew_nothing_of_it", record: backend(),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(time.Hour), inCluster("u-1", ago(time.Hour)), generation(2)), deleting)))),
		action: ActionAdopt, reason: ReasonDeleting, state: job.StateRunning, told: true,
	},
	{
		name: "is_being_deleted_and_has_gone_on", record: running(state(job.StatePending, 0), generation(1)),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, generation(2)), deleting)))),
		action: ActionAdopt, reason: ReasonDeleting, state: job.StateRunning, told: true,
	},
	{
		name: "complete_and_being_deleted", record: running(generation(1)),
		world: with(cluster(shown(kubeJob(StandEnded,
			said(ago(time.Hour), inCluster("u-1", ago(3*time.Hour)), state(job.StateSucceeded, job.EvidenceCondition)), deleting)))),
		action: ActionAdopt, reason: ReasonEnded, state: job.StateSucceeded, evidence: job.EvidenceCondition,
	},
	{
		name: "its_end_is_decided_and_it_is_being_deleted", record: running(generation(1)),
		world: with(cluster(shown(func() FoundJob {
			f := ending(ago(9*time.Minute), said(ago(20*time.Minute), inCluster("u-1", ago(3*time.Hour)), state(job.StateFailed, job.EvidenceCondition)), 0)
			deleting(&f)
			generation(2)(&f.Claims[0])
			return f
		}()))),
		action: ActionLeave, reason: ReasonEnding, after: now().Add(time.Minute),
	},
	{
		name: "gone_on_without_deletion_is_news", record: running(generation(1)),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes, generation(2)))))),
		action: ActionAdopt, reason: ReasonNews, state: job.StateRunning,
	},
	{
		name: "an_earlier_run_lives", record: backend(attempt(2)),
		world:  with(cluster(shown(kubeJob(StandRunning, said(ago(4*time.Hour), inCluster("u-1", ago(5*time.Hour))))))),
		action: ActionLeave, reason: ReasonOldRun, told: true,
	},
	{
		name: "a_pod_without_its_job", record: running(), world: with(cluster(Cluster{Probe: Answered, Pods: []string{"ml/train-x"}})),
		action: ActionLeave, reason: ReasonOrphan, told: true,
	},
	{
		name: "unreadable_and_alive", record: running(), world: with(cluster(shown(FoundJob{Problem: "attempt 0", Stand: StandRunning}))),
		action: ActionCannotJudge, reason: ReasonJobUnreadable, told: true,
	},
	{
		name: "unreadable_and_ended", record: running(), world: with(cluster(shown(FoundJob{Problem: "attempt 0", Stand: StandEnded}))),
		action: ActionCannotJudge, reason: ReasonJobUnreadable, told: true,
	},
}

// delayed is a job that waits since two hours and was marked at that moment.
func delayed(at time.Time) *job.Record {
	in := inCluster("u-1", ago(3*time.Hour))
	return record(said(ago(2*time.Hour), in, state(job.StatePending, 0)),
		said(at, in, func(o *job.Observation) { o.Kind, o.Delayed, o.DelayReason = job.KindDelay, true, "full" }))
}

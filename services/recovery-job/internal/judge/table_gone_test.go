package judge

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

var goneRows = []row{
	{name: "marker", record: running(), world: with(left(OutputMarked)), action: ActionSucceed, reason: ReasonMarker, state: job.StateSucceeded, evidence: job.EvidenceOutput},
	{name: "marker_and_a_stage_follows", record: running(goesOn), world: with(left(OutputMarked)), action: ActionAdopt, reason: ReasonStageOutput, state: job.StateRunning},
	{name: "any_output", record: running(owner("any")), world: with(left(OutputObjects)), action: ActionSucceed, reason: ReasonObjects, state: job.StateSucceeded, evidence: job.EvidenceOutput},
	{name: "nothing_left", record: running(), action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "nothing_left_of_a_suspended_one", record: running(state(job.StateSuspended, 0)), action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "three_of_a_hundred", record: running(), world: with(left(OutputIncomplete)), action: ActionFail, reason: ReasonGoneIncomplete, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "marker_of_an_earlier_attempt", record: running(attempt(2)), world: with(left(OutputOld)), action: ActionFail, reason: ReasonGoneOld, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "marker_of_another_job", record: running(), world: with(left(OutputForeign)), action: ActionFail, reason: ReasonGoneForeign, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "marker_of_nobody", record: running(), world: with(left(OutputUnsigned)), action: ActionCannotJudge, reason: ReasonOutputUnsigned, told: true},
	{name: "start_unknown", record: running(), world: with(left(OutputUndated)), action: ActionCannotJudge, reason: ReasonOutputUndated, told: true},
	{name: "still_being_written", record: running(), world: with(left(OutputUnsettled)), action: ActionLeave, reason: ReasonUnsettled, after: now().Add(time.Minute)},
	{
		name: "no_place_declared", record: record(said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)))),
		action: ActionFail, reason: ReasonGoneUndeclared, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{name: "the_rule_does_not_look", record: running(owner("none")), world: with(left(OutputMarked)), action: ActionFail, reason: ReasonGoneUndeclared, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{name: "bucket_down", record: running(), world: with(bucket(FaultUnavailable)), action: ActionCannotJudge, reason: ReasonOutputUnavailable, told: true},
	{name: "bucket_403", record: running(), world: with(bucket(FaultRefused)), action: ActionCannotJudge, reason: ReasonOutputRefused, told: true},
	{name: "no_such_bucket", record: running(), world: with(bucket(FaultMisconfigured)), action: ActionCannotJudge, reason: ReasonOutputMisconfigured, told: true},
	{name: "bucket_without_answer", record: running(), world: with(func(w *world) { w.output = Output{} }), action: ActionCannotJudge, reason: ReasonUnanswered, told: true},
	{name: "unknown_finding", record: running(), world: with(left("NEW")), action: ActionCannotJudge, reason: ReasonUnanswered, told: true},
	{
		name: "there_after_all", record: running(),
		world: with(func(w *world) {
			w.live = shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes)))
		}),
		action: ActionLeave, reason: ReasonRunning,
	},
	{
		name: "no_answer_when_asked_again", record: running(), world: with(func(w *world) { w.live = Cluster{Probe: Failed, Fault: broken(FaultUnavailable)} }),
		action: ActionCannotJudge, reason: ReasonClusterUnavailable, told: true,
	},
	{name: "its_rule_leaves_it_to_people", record: goneOf("look"), action: ActionLeave, reason: ReasonInvestigate, told: true},
	{
		name: "people_had_their_time", action: ActionFail, reason: ReasonGoneUndeclared, state: job.StateFailed, evidence: job.EvidenceAbsence,
		record: record(said(ago(7*time.Hour), inCluster("u-1", ago(8*time.Hour)), owner("look"), func(o *job.Observation) { o.Stage = "training" })),
	},
	{name: "its_rule_resumes", record: goneOf("again"), action: ActionResume, reason: ReasonResume},
	{
		name: "its_rule_resumed", record: goneOf("again"), action: ActionFail, reason: ReasonResumesSpent, state: job.StateFailed, evidence: job.EvidenceAbsence,
		edit: func(_ *Judge, e *Evidence) { e.Resumes = Resumes{Asked: 1, Attempt: 1} },
	},
	{
		name: "its_rule_cannot_resume", record: goneOf("again"), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.PubSub = "connection refused" },
	},
	{name: "its_rule_delays", record: goneOf("late"), action: ActionFail, reason: ReasonGoneUndeclared, state: job.StateFailed, evidence: job.EvidenceAbsence},
	{
		name: "pubsub_down_does_not_matter", record: running(), action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline = Pipeline{Probe: Failed, PubSub: "down"} },
	},
	{
		name: "stage_done_and_tidied_away", record: running(goesOn, stageDone), // its end is known: what is silent is the next stage
		action: ActionFail, reason: ReasonSilent, state: job.StateFailed, evidence: job.EvidenceAssumed,
	},
	{
		name: "gone_behind_an_older_one_that_is_kept", record: running(), world: with(keptOlder(StandEnded), left(OutputMarked)),
		action: ActionSucceed, reason: ReasonMarker, state: job.StateSucceeded, evidence: job.EvidenceOutput,
	},
	{
		name: "gone_without_output_behind_an_older_one_that_is_kept", record: running(), world: with(keptOlder(StandEnded)),
		action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{name: "gone_behind_an_older_one_that_lives", record: running(), world: with(keptOlder(StandRunning), left(OutputMarked)), action: ActionAdopt, reason: ReasonNews, state: job.StateRunning},
	{
		name: "gone_but_not_silent_by_its_phases", record: running(), world: with(func(w *world) { w.phase.At = ago(30 * time.Minute) }),
		action: ActionLeave, reason: ReasonNewerPhase, after: now().Add(30 * time.Minute),
	},
	{
		name: "gone_with_an_old_phase", record: running(), world: with(func(w *world) { w.phase.At = ago(90 * time.Minute) }),
		action: ActionFail, reason: ReasonGone, state: job.StateFailed, evidence: job.EvidenceAbsence,
	},
	{
		name: "gone_and_its_phases_cannot_be_read", record: running(), world: with(func(w *world) { w.phase = Phase{Probe: Failed, Fault: broken(FaultUnavailable)} }),
		action: ActionCannotJudge, reason: ReasonPhasesUnavailable, told: true,
	},
	{
		name: "its_rule_would_resume_but_for_a_phase", record: goneOf("again"), world: with(func(w *world) { w.phase.At = ago(30 * time.Minute) }),
		action: ActionLeave, reason: ReasonNewerPhase,
	},
	{
		name: "people_have_their_time_from_its_last_phase_on", world: with(func(w *world) { w.phase.At = ago(5 * time.Hour) }),
		record: record(said(ago(7*time.Hour), inCluster("u-1", ago(8*time.Hour)), owner("look"), func(o *job.Observation) { o.Stage = "training" })),
		action: ActionLeave, reason: ReasonInvestigate, told: true,
	},
	{
		name: "a_later_stage_has_it", record: record(said(ago(3*time.Hour), inCluster("u-1", ago(4*time.Hour)), goesOn, stageDone),
			said(ago(2*time.Hour), func(o *job.Observation) { o.Stage, o.Ordinal = "closing", 40 })),
		action: ActionFail, reason: ReasonSilent, state: job.StateFailed, evidence: job.EvidenceAssumed,
	},
}

func goneOf(name string) *job.Record {
	return record(said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), owner(name), func(o *job.Observation) { o.Stage = "training" }))
}

// keptOlder is the Kubernetes Job that the same attempt had before, and that was
// never removed.
func keptOlder(stand Stand) func(*world) {
	claim := said(ago(4*time.Hour), inCluster("u-0", ago(5*time.Hour)))
	if stand == StandEnded {
		state(job.StateFailed, job.EvidenceCondition)(&claim)
	}
	return cluster(shown(kubeJob(stand, claim)))
}

func bucket(kind FaultKind) func(*world) {
	return func(w *world) { w.output = Output{Probe: Failed, Fault: broken(kind)} }
}

var silentRows = []row{
	{name: "silent", record: backend(), action: ActionResume, reason: ReasonResume, after: now().Add(15 * time.Minute)},
	{name: "silent_with_the_marker_of_its_attempt", record: backend(writes), world: with(left(OutputMarked)), action: ActionSucceed, reason: ReasonMarker, state: job.StateSucceeded, evidence: job.EvidenceOutput},
	{name: "silent_with_a_bucket_down", record: backend(writes), world: with(bucket(FaultUnavailable)), action: ActionCannotJudge, reason: ReasonOutputUnavailable, told: true},
	{name: "silent_with_nothing_in_its_bucket", record: backend(writes), action: ActionResume, reason: ReasonResume},
	{
		name: "resumed_enough", record: backend(), action: ActionFail, reason: ReasonResumesSpent, state: job.StateFailed, evidence: job.EvidenceAssumed,
		edit: func(_ *Judge, e *Evidence) { e.Resumes = Resumes{Asked: 2, Attempt: 1, OpenUntil: ago(time.Minute)} },
	},
	{
		name: "resumed_a_moment_ago", record: backend(), action: ActionLeave, reason: ReasonResuming, after: now().Add(time.Minute),
		edit: func(_ *Judge, e *Evidence) {
			e.Resumes = Resumes{Asked: 1, Attempt: 1, OpenUntil: now().Add(time.Minute)}
		},
	},
	{
		name: "resumed_and_moved_on", record: backend(attempt(2)), action: ActionResume, reason: ReasonResume,
		edit: func(_ *Judge, e *Evidence) {
			e.Resumes = Resumes{Asked: 1, Attempt: 1, OpenUntil: now().Add(time.Minute)}
		},
	},
	{name: "a_hundred_attempts", record: backend(attempt(100)), action: ActionFail, reason: ReasonAttemptsSpent, state: job.StateFailed, evidence: job.EvidenceAssumed},
	{
		name: "not_silent_by_its_phases", record: backend(), world: with(func(w *world) { w.phase.At = ago(30 * time.Minute) }),
		action: ActionLeave, reason: ReasonNewerPhase, after: now().Add(30 * time.Minute),
	},
	{name: "old_phase", record: backend(), world: with(func(w *world) { w.phase.At = ago(90 * time.Minute) }), action: ActionResume, reason: ReasonResume},
	{
		name: "phases_cannot_be_read", record: backend(), world: with(func(w *world) { w.phase = Phase{Probe: Failed, Fault: broken(FaultUnavailable)} }),
		action: ActionCannotJudge, reason: ReasonPhasesUnavailable, told: true,
	},
	{
		name: "phase_far_ahead", record: backend(), world: with(func(w *world) { w.phase.At = now().Add(time.Hour) }),
		action: ActionCannotJudge, reason: ReasonTimesFuture, told: true,
	},
	{
		name: "pubsub_down", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.PubSub = "connection refused" },
	},
	{
		name: "heartbeat_old", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.Beats[0].At = ago(2 * time.Minute) },
	},
	{
		name: "backlog", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.Beats[0].BacklogAge = 6 * time.Minute },
	},
	{
		name: "one_of_two_is_behind", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) {
			e.Pipeline.Beats = append(e.Pipeline.Beats, Beat{At: ago(time.Second), Every: time.Minute, BacklogAge: time.Hour, Receiving: true})
		},
	},
	{
		name: "one_of_two_has_ended", record: backend(), action: ActionResume, reason: ReasonResume,
		edit: func(_ *Judge, e *Evidence) {
			e.Pipeline.Beats = append(e.Pipeline.Beats, Beat{At: ago(time.Hour), BacklogAge: time.Hour})
		},
	},
	{
		name: "not_receiving", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.Beats[0].Receiving = false },
	},
	{
		name: "no_heartbeat", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.Beats = nil },
	},
	{
		name: "heartbeats_cannot_be_read", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline = Pipeline{Probe: Failed, Fault: broken(FaultUnavailable)} },
	},
	{
		name: "pipeline_never_asked", record: backend(), action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline = Pipeline{} },
	},
	{
		name: "pubsub_down_beyond_the_limit", record: record(said(ago(7 * time.Hour))),
		action: ActionFail, reason: ReasonHardLimit, state: job.StateFailed, evidence: job.EvidenceAssumed,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.PubSub = "connection refused" },
	},
	{name: "beyond_the_limit_with_all_well", record: record(said(ago(7 * time.Hour))), action: ActionResume, reason: ReasonResume},
	{
		name: "entered_kubernetes_and_never_seen_there", record: backend(func(o *job.Observation) { o.Stage, o.Ordinal = job.StageKubernetes, job.OrdinalKubernetes }),
		action: ActionFail, reason: ReasonSilent, state: job.StateFailed, evidence: job.EvidenceAssumed,
	},
	{
		name: "its_rule_fails_but_pubsub_is_down", record: backend(func(o *job.Observation) { o.Stage, o.Ordinal = "closing", 40 }),
		action: ActionLeave, reason: ReasonPipelineSilent,
		edit: func(_ *Judge, e *Evidence) { e.Pipeline.PubSub = "connection refused" },
	},
	{name: "its_rule_says_late", record: backend(owner("late"), func(o *job.Observation) { o.Stage = "x" }), action: ActionDelay, reason: ReasonLate},
	{
		name: "its_rule_said_late", record: record(said(ago(3*time.Hour), owner("late"), func(o *job.Observation) { o.Stage = "x" }),
			said(ago(2*time.Hour), func(o *job.Observation) { o.Stage, o.Kind, o.Delayed = "x", job.KindDelay, true })),
		action: ActionLeave, reason: ReasonDelayed,
	},
	{
		name: "late_beyond_the_limit", record: record(said(ago(7*time.Hour), owner("late"), func(o *job.Observation) { o.Stage = "x" })),
		action: ActionFail, reason: ReasonHardLimit, state: job.StateFailed, evidence: job.EvidenceAssumed,
	},
	{
		name: "looked_at_beyond_the_limit", record: record(said(ago(7*time.Hour), owner("look"), func(o *job.Observation) { o.Stage = "x" })),
		action: ActionFail, reason: ReasonHardLimit, state: job.StateFailed, evidence: job.EvidenceAssumed,
	},
}

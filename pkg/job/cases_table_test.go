package job

import (
	"time"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// lifeCases: which life of a job speaks.
func lifeCases() []caseOf {
	return []caseOf{
		{name: "late event of an old attempt changes nothing", claims: []Observation{
			claim(StateRunning, 5, attempt(2), life("u2", 4)),
			claim(StateFailed, 9),
			claim(StatePending, 1),
		}, want: wanted(StateRunning, 5, ofAttempt(2))},
		{name: "a rerun starts anew after a final end, even with an earlier clock", claims: []Observation{
			claim(StateFailed, 9),
			claim(StatePending, 3, attempt(2), inStage(OrdinalBackend, StageBackend)),
		}, want: wanted(StatePending, 3, ofAttempt(2), at2(OrdinalBackend, StageBackend))},
		{name: "Job recreated under its name after a failure", claims: []Observation{
			claim(StateFailed, 5),
			claim(StatePending, 6, life("u0", 6)),
			claim(StateRunning, 7, life("u0", 6)),
		}, want: wanted(StateRunning, 7)},
		{name: "two Jobs created in one second: the uid decides, not the arrival", claims: []Observation{
			claim(StateFailed, 2, life("ua", 1)),
			claim(StateRunning, 1, life("ub", 1)),
		}, want: wanted(StateRunning, 1)},
		{name: "a later stage speaks over a final earlier one", claims: []Observation{
			claim(StateFailed, 9, inStage(OrdinalBackend, StageBackend), by(EvidenceStated)),
			claim(StateRunning, 3),
		}, want: wanted(StateRunning, 3)},
		{name: "a stage after Kubernetes", claims: []Observation{
			claim(StateRunning, 5, stageDone()),
			claim(StateRunning, 1),
			claim(StateRunning, 4, inStage(40, "publish")),
			claim(StateSucceeded, 6, inStage(40, "publish"), by(EvidenceStated)),
		}, want: wanted(StateSucceeded, 6, at2(40, "publish"), resting(EvidenceStated, true))},
		{name: "two stages of one ordinal: the name decides", claims: []Observation{
			claim(StateFailed, 3, inStage(40, "alpha"), by(EvidenceStated)),
			claim(StateRunning, 2, inStage(40, "beta")),
		}, want: wanted(StateRunning, 2, at2(40, "beta"))},
		{name: "a user's cancel speaks for the whole job", claims: []Observation{
			claim(StateSucceeded, 4),
			claim(StateCancelled, 3, inStage(OrdinalWholeJob, ""), by(EvidenceStated), because(CauseUser)),
		}, want: wanted(StateCancelled, 3, at2(OrdinalWholeJob, ""), resting(EvidenceStated, true), caused(CauseUser))},
		{name: "a cancel of an old attempt does not stop the rerun", claims: []Observation{
			claim(StateCancelled, 3, inStage(OrdinalWholeJob, ""), by(EvidenceStated)),
			claim(StateRunning, 2, attempt(2)),
		}, want: wanted(StateRunning, 2, ofAttempt(2))},
	}
}

// verdictCases: what ends a job and what reopens it.
func verdictCases() []caseOf {
	return []caseOf{
		{name: "a final end holds against a later sign of life", claims: []Observation{
			claim(StateSucceeded, 4),
			claim(StateRunning, 9, generation(7)),
		}, want: wanted(StateSucceeded, 4)},
		{name: "FAILED by absence, then a sign of life", claims: []Observation{
			claim(StateFailed, 5, by(EvidenceAbsence), because(CauseLost)),
			claim(StateRunning, 6),
		}, want: wanted(StateRunning, 6)},
		{name: "FAILED by absence holds against an earlier sign of life", claims: []Observation{
			claim(StateFailed, 5, by(EvidenceAbsence), because(CauseLost)),
			claim(StateRunning, 4),
		}, want: wanted(StateFailed, 5, resting(EvidenceAbsence, false), caused(CauseLost))},
		{name: "FAILED by assumption, then a sign of life, then Complete=True", claims: []Observation{
			claim(StateFailed, 5, by(EvidenceAssumed), because(CauseSilent)),
			claim(StateRunning, 6),
			claim(StateSucceeded, 3),
		}, want: wanted(StateSucceeded, 3)},
		{name: "SUCCEEDED by output is corrected by Failed=True", claims: []Observation{
			claim(StateSucceeded, 3, by(EvidenceOutput)),
			claim(StateFailed, 8, because(CauseDeadline)),
		}, want: wanted(StateFailed, 8, caused(CauseDeadline))},
		{name: "a deletion gives way to the condition that was seen late", claims: []Observation{
			claim(StateCancelled, 2, by(EvidenceDeleted), because(CauseDeleted)),
			claim(StateSucceeded, 4),
		}, want: wanted(StateSucceeded, 4)},
		{name: "a stage's word gives way to the condition, not to the output", claims: []Observation{
			claim(StateFailed, 2, by(EvidenceStated)),
			claim(StateSucceeded, 1, by(EvidenceOutput)),
		}, want: wanted(StateFailed, 2, resting(EvidenceStated, true))},
		{name: "contradicting CONDITION verdicts: the first one holds", claims: []Observation{
			claim(StateFailed, 4, because(CauseBackoffLimit)),
			claim(StateSucceeded, 5),
		}, want: wanted(StateFailed, 4, caused(CauseBackoffLimit))},
		{name: "contradicting CONDITION verdicts of one second", claims: []Observation{
			claim(StateFailed, 4, because(CauseBackoffLimit)),
			claim(StateSucceeded, 4),
		}, want: wanted(StateFailed, 4, caused(CauseBackoffLimit))},
		{name: "absence is stronger than assumption of one moment", claims: []Observation{
			claim(StateFailed, 4, by(EvidenceAbsence)),
			claim(StateFailed, 4, by(EvidenceAssumed)),
		}, want: wanted(StateFailed, 4, resting(EvidenceAbsence, false))},
		{name: "one verdict with two texts", claims: []Observation{
			claim(StateFailed, 4, detailed("a")),
			claim(StateFailed, 4, detailed("b")),
		}, want: wanted(StateFailed, 4, described("b"))},
		{name: "a stage that is not the last one ends well", claims: []Observation{
			claim(StateRunning, 5, stageDone()),
			claim(StateRunning, 1),
		}, want: wanted(StateRunning, 5, done())},
		{name: "a stage that starts and ends within one second is done", claims: []Observation{
			claim(StateRunning, 1, stageDone()),
			claim(StateRunning, 1),
		}, want: wanted(StateRunning, 1, done())},
	}
}

// timeCases: what goes to and fro.
func timeCases() []caseOf {
	return []caseOf{
		{name: "suspend and resume alternate", claims: []Observation{
			claim(StateRunning, 1, generation(1)),
			claim(StateSuspended, 3, generation(2)),
			claim(StateRunning, 5, generation(3)),
		}, want: wanted(StateRunning, 5)},
		{name: "suspended last", claims: []Observation{
			claim(StateRunning, 1, generation(1)),
			claim(StateSuspended, 3, generation(2)),
		}, want: wanted(StateSuspended, 3)},
		{name: "suspend and resume within one second", claims: []Observation{
			claim(StateRunning, 1, generation(1)),
			claim(StateSuspended, 3, generation(2)),
			claim(StateRunning, 3, generation(3)),
		}, want: wanted(StateRunning, 3)},
		{name: "resume and suspend within one second", claims: []Observation{
			claim(StateSuspended, 1, generation(1)),
			claim(StateRunning, 3, generation(2)),
			claim(StateSuspended, 3, generation(3)),
		}, want: wanted(StateSuspended, 3)},
		{name: "created and started within one second", claims: []Observation{
			claim(StatePending, 1, generation(1)),
			claim(StateRunning, 1, generation(1)),
		}, want: wanted(StateRunning, 1)},
	}
}

// causeCases: why it failed.
func causeCases() []caseOf {
	return []caseOf{
		{name: "OOM beats BACKOFF_LIMIT", claims: []Observation{
			claim(StateFailed, 5, because(CauseBackoffLimit)),
			claim(0, 4, kind(KindCause), because(CauseOOM)),
			claim(0, 3, kind(KindCause), because(CauseAppExit)),
		}, want: wanted(StateFailed, 5, caused(CauseOOM))},
		{name: "pod says Fail, Job retries and completes", claims: []Observation{
			claim(0, 3, kind(KindCause), because(CauseAppExit)),
			claim(StateRunning, 1),
			claim(StateSucceeded, 5),
		}, want: wanted(StateSucceeded, 5)},
		{name: "of two causes alike the first is shown", claims: []Observation{
			claim(StateFailed, 5),
			claim(0, 3, kind(KindCause), because(CauseOOM), messaged("first")),
			claim(0, 4, kind(KindCause), because(CauseOOM), messaged("second")),
		}, want: wanted(StateFailed, 5, caused(CauseOOM), func(v *View) { v.Cause.Message = "first" })},
		{name: "the cause of an old attempt does not explain the new one", claims: []Observation{
			claim(StateFailed, 5, because(CauseOOM)),
			claim(StateFailed, 9, attempt(2), because(CauseAppExit)),
		}, want: wanted(StateFailed, 9, ofAttempt(2), caused(CauseAppExit))},
		{name: "the cause of a replaced Job does not explain its successor", claims: []Observation{
			claim(StateFailed, 5, because(CauseOOM)),
			claim(StateFailed, 9, life("u0", 6), because(CauseDeadline)),
		}, want: wanted(StateFailed, 9, caused(CauseDeadline))},
		{name: "an earlier stage's cause does not explain a later one", claims: []Observation{
			claim(0, 2, kind(KindCause), inStage(OrdinalBackend, StageBackend), because(CauseOOM)),
			claim(StateFailed, 9, because(CauseImage)),
		}, want: wanted(StateFailed, 9, caused(CauseImage))},
	}
}

// markCases: delayed and vanished.
func markCases() []caseOf {
	return []caseOf{
		{name: "delayed counts while nothing later is known", claims: []Observation{
			claim(StatePending, 1),
			claim(0, 2, delay(true, "no room")),
		}, want: wanted(StatePending, 1, waits("no room"))},
		{name: "delayed in the second of the status counts", claims: []Observation{
			claim(StatePending, 1),
			claim(0, 1, delay(true, "no room")),
		}, want: wanted(StatePending, 1, waits("no room"))},
		{name: "the latest delay tells why", claims: []Observation{
			claim(StatePending, 1),
			claim(0, 2, delay(true, "no room")),
			claim(0, 3, delay(true, "quota")),
		}, want: wanted(StatePending, 1, waits("quota"))},
		{name: "delay over", claims: []Observation{
			claim(StatePending, 1),
			claim(0, 2, delay(true, "no room")),
			claim(0, 2, delay(false, "")),
		}, want: wanted(StatePending, 1)},
		{name: "a later status ends a delay", claims: []Observation{
			claim(StateRunning, 3),
			claim(0, 2, delay(true, "no room")),
		}, want: wanted(StateRunning, 3)},
		{name: "a delay of the old life says nothing of the new one", claims: []Observation{
			claim(StatePending, 6, life("u0", 6)),
			claim(0, 8, delay(true, "no room")),
		}, want: wanted(StatePending, 6)},
		{name: "a delay of the old attempt says nothing of the new one", claims: []Observation{
			claim(StatePending, 1, attempt(2)),
			claim(0, 8, delay(true, "no room")),
		}, want: wanted(StatePending, 1, ofAttempt(2))},
		{name: "vanished, then judged", claims: []Observation{
			claim(StateRunning, 1),
			claim(0, 1, kind(KindVanished)),
			claim(StateFailed, 7, by(EvidenceAbsence), because(CauseLost)),
		}, want: wanted(StateFailed, 7, resting(EvidenceAbsence, false), caused(CauseLost))},
		{name: "vanished and nothing else", claims: []Observation{
			claim(StateRunning, 1),
			claim(0, 1, kind(KindVanished)),
		}, want: wanted(StateRunning, 1, gone())},
		{name: "a record may begin with a cause", claims: []Observation{
			claim(0, 3, kind(KindCause), because(CauseOOM)),
		}, want: wanted(StatePending, 3)},
	}
}

// descriptionCases: what the job is.
func descriptionCases() []caseOf {
	witness, sdk := told(resiliencyv1.Source_SOURCE_LOG_WITNESS), told(resiliencyv1.Source_SOURCE_SDK)
	return []caseOf{
		{name: "any description is better than none", claims: []Observation{
			claim(StatePending, 1),
			claim(StatePending, 3, owned("team"), sdk),
		}, want: wanted(StatePending, 3), owner: "team"},
		{name: "the cluster describes the job before the product does", claims: []Observation{
			claim(StatePending, 3, owned("of-cluster"), witness),
			claim(StatePending, 1, owned("by-product"), sdk),
		}, want: wanted(StatePending, 3), owner: "of-cluster"},
		{name: "of two alike the earlier describes it", claims: []Observation{
			claim(StatePending, 3, owned("a"), sdk, life("u1", 2)),
			claim(StatePending, 1, owned("b"), sdk, life("u0", 1)),
		}, want: wanted(StatePending, 3), owner: "b"},
		{name: "the newest Job of the newest attempt is the one to look at", claims: []Observation{
			claim(StateRunning, 3, life("u9", 9), onCluster("old")),
			claim(StateRunning, 2, attempt(2), life("u1", 1), onCluster("new")),
		}, want: wanted(StateRunning, 2, ofAttempt(2)), cluster: "new"},
		{name: "a rerun has its own output and its own start", claims: []Observation{
			claim(StateFailed, 9, writesTo("gs://b/1/"), life("u1", 1)),
			claim(StatePending, 5, attempt(2), writesTo("gs://b/2/"), life("u2", 5)),
			claim(StateRunning, 7, attempt(2), writesTo("gs://b/2/"), life("u2", 5)),
		}, want: wanted(StateRunning, 7, ofAttempt(2)), output: "gs://b/2/", started: at(5)},
		{name: "an attempt starts with its first sign, in whatever stage", claims: []Observation{
			claim(StateRunning, 3, inStage(OrdinalBackend, StageBackend)),
			claim(StateRunning, 9, life("u1", 8)),
		}, want: wanted(StateRunning, 9), started: at(3)},
		{name: "the Job of the furthest stage is the one to look at", claims: []Observation{
			claim(StateRunning, 9, life("u9", 9), onCluster("second")),
			claim(StateRunning, 5, func(o *Observation) { o.Ordinal, o.Stage = 40, "publish" }, life("u5", 5), onCluster("third")),
		}, want: wanted(StateRunning, 5, at2(40, "publish")), cluster: "third"},
		{name: "who knows the uid alone speaks for the stage, not for a second life", claims: []Observation{
			claim(StateRunning, 3),
			claim(StateRunning, 5, func(o *Observation) { o.Kubernetes.CreatedAt = time.Time{} }),
			claim(0, 4, kind(KindCause), because(CauseOOM), func(o *Observation) { o.Kubernetes.CreatedAt = time.Time{} }),
		}, want: wanted(StateRunning, 3)},
		{name: "a stage after Kubernetes does not hide the Job", claims: []Observation{
			claim(StateRunning, 3, stageDone()),
			claim(StateRunning, 4, inStage(40, "publish")),
		}, want: wanted(StateRunning, 4, at2(40, "publish")), cluster: "c"},
	}
}

package timeline

import (
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	with := func(r *Record, alter func(r *Record)) *Record { alter(r); return r }
	running := func() *Record { return status(job.StateRunning, 0, 10) }
	cases := []struct {
		name   string
		in     Input
		owner  Owner
		nextAt time.Time
		// want are parts of the paragraph.
		want []string
	}{
		{"nothing", Input{}, OwnerNobody, time.Time{}, []string{"Nothing is on record about job j-1.", "no service was told"}},
		{"phases_only", Input{Phases: []Phase{phase("backend", "a", 1, noted)}}, OwnerPipeline, time.Time{},
			[]string{"1 phase on record and no status yet", "Its record begins with that event"}},
		{"letter_only", Input{Letters: []Letter{{ID: "l", State: "OPEN"}}}, OwnerOperator, time.Time{}, []string{"1 dead letter about it waits"}},
		{"oom", Input{
			Record: with(status(job.StateFailed, job.EvidenceCondition, 90), func(r *Record) {
				r.View.Cause = job.CauseDetail{Cause: job.CauseOOM, Container: "main", ExitCode: new(int32(137)), Message: "needs\nmore\u202e."}
			}),
			Phases:  []Phase{phase("kubernetes", "infer", 5, started), phase("kubernetes", "infer", 80, failed(job.CauseOOM))},
			Updates: []Update{{Event: &resiliencyv1.JobUpdate{EventId: "u", Revision: 3, Event: &resiliencyv1.JobUpdate_Failed{}}}},
		}, OwnerUser, time.Time{}, []string{
			"Job j-1 failed in stage kubernetes, in phase infer, at 2026-11-21 10:01:30 UTC: out of memory, container main, exit code 137 (needs more\ufffd).",
			"rests on the condition of its Kubernetes Job", "It belongs to ana, who decides", "told last with revision 3 (failed)", "this end is final",
		}},
		{"succeeded", Input{Record: status(job.StateSucceeded, job.EvidenceOutput, 90)}, OwnerNobody, time.Time{},
			[]string{"Job j-1 succeeded in stage kubernetes", "the output in its bucket", "Nobody has to act."}},
		{"cancelled", Input{Record: status(job.StateCancelled, job.EvidenceDeleted, 90)}, OwnerUser, time.Time{}, []string{"was cancelled", "on the deletion of its Kubernetes Job"}},
		{"assumed", Input{Record: status(job.StateFailed, job.EvidenceAssumed, 90)}, OwnerUser, time.Time{},
			[]string{"That is assumed", "a sign of life corrects it"}},
		{"running", Input{Record: with(running(), func(r *Record) { r.CheckAfter = at(5000) })}, OwnerStage, at(5000),
			[]string{"Job j-1 is running in stage kubernetes, since", "Stage kubernetes is working on it.", "first run after 2026-11-21 11:23:20 UTC"}},
		{"due", Input{Record: running()}, OwnerStage, time.Time{}, []string{"in its next hourly run"}},
		{"stage_done", Input{Record: with(running(), func(r *Record) { r.View.StageDone = true })}, OwnerStage, time.Time{},
			[]string{"Stage kubernetes is done and the next has not spoken yet."}},
		{"pending", Input{Record: status(job.StatePending, 0, 10)}, OwnerStage, time.Time{}, []string{"has it and has not begun"}},
		{"suspended", Input{Record: status(job.StateSuspended, 0, 10)}, OwnerUser, time.Time{}, []string{"suspended on purpose", "when it is resumed"}},
		{"delayed", Input{Record: with(running(), func(r *Record) { r.View.Delayed, r.View.DelayReason = true, "0/3 nodes fit." })}, OwnerCluster,
			time.Time{}, []string{"waits for room in the cluster (0/3 nodes fit)."}},
		{"vanished", Input{Record: with(running(), func(r *Record) { r.View.Vanished = true })}, OwnerRecovery, time.Time{},
			[]string{"nobody saw how it ended"}},
		{"resuming", Input{Record: with(running(), func(r *Record) { r.Resumes, r.ResumeAttempt, r.ResumeUntil = 1, 1, at(300) })}, OwnerStage, at(300),
			[]string{"has asked it to run the job again", "begins attempt 2 by 2026-11-21 10:05:00 UTC"}},
		{"resume_expired", Input{Record: with(running(), func(r *Record) { r.Resumes, r.ResumeAttempt, r.ResumeUntil = 1, 1, at(50) })}, OwnerRecovery,
			time.Time{}, []string{"expired at 2026-11-21 10:00:50 UTC and no worker has begun"}},
		{"resumed", Input{Record: with(running(), func(r *Record) { r.View.Attempt, r.Resumes, r.ResumeAttempt, r.ResumeUntil = 2, 1, 1, at(300) })},
			OwnerStage, time.Time{}, []string{"attempt 2", "is working on it"}},
		{"judged", Input{Record: running(), Phases: []Phase{phase("kubernetes", "recovery.judged", 40, func(e *resiliencyv1.PhaseEvent) {
			e.Message = "It makes progress."
			e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{}}
		})}}, OwnerStage, time.Time{}, []string{"When it last looked, at 2026-11-21 10:00:40 UTC, it said: It makes progress."}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.in.JobID = "j-1"
			line := Build(&tc.in, at(100))
			got := Explain(&line, at(100))
			if got.Owner != tc.owner || !got.NextAt.Equal(tc.nextAt) {
				t.Errorf("owner %s at %s, want %s at %s", got.Owner, got.NextAt, tc.owner, tc.nextAt)
			}
			for _, want := range tc.want {
				if !strings.Contains(got.Text(), want) {
					t.Errorf("explanation lacks %q:\n%s", want, got.Text())
				}
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		record *Record
		phases []Phase
		want   string
	}{
		{"of_the_cause", status(job.StateFailed, job.EvidenceCondition, 90), []Phase{
			phase("kubernetes", "oom", 1, failed(job.CauseOOM)), phase("kubernetes", "late", 9, failed(job.CauseAppExit)),
		}, "oom"},
		{"last_failed", status(job.StateFailed, job.EvidenceStated, 90), []Phase{
			phase("kubernetes", "a", 1, failed(job.CauseAppExit)), phase("kubernetes", "b", 9, failed(job.CauseAppExit)),
		}, "b"},
		{"never_ended", status(job.StateFailed, job.EvidenceAbsence, 90), []Phase{
			phase("kubernetes", "a", 1, started), phase("kubernetes", "b", 9, noted),
		}, "a"},
		{"other_stage_does_not_count", status(job.StateFailed, job.EvidenceAbsence, 90), []Phase{phase("backend", "a", 1, failed(job.CauseOOM))}, ""},
		{"where_it_is", status(job.StateRunning, 0, 0), []Phase{
			phase("kubernetes", "a", 1, started), phase("kubernetes", "a", 2, succeeded), phase("kubernetes", "b", 3, started),
		}, "b"},
		{"no_record", nil, []Phase{phase("kubernetes", "b", 3, started), phase("backend", "a", 9, failed(job.CauseOOM))}, "b"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.record != nil && tc.name == "of_the_cause" {
				tc.record.View.Cause = job.CauseDetail{Cause: job.CauseOOM}
			}
			got := Build(&Input{Record: tc.record, Phases: tc.phases}, at(100)).Stop
			if got == nil || got.Phase != tc.want {
				t.Errorf("stop %+v, want phase %q", got, tc.want)
			}
		})
	}
	whole := status(job.StateCancelled, job.EvidenceStated, 90)
	whole.View.Stage, whole.View.Ordinal = "", job.OrdinalWholeJob
	stopped := Build(&Input{Record: whole, Phases: []Phase{
		phase("backend", "save", 1, started), phase("backend", "save", 2, succeeded), phase("kubernetes", "render", 3, started),
		phase("kubernetes", "later", 5, started, attempt(2)), phase("", "job.cancelled", 90, noted),
	}}, at(100)).Stop
	if stopped == nil || !stopped.Over || stopped.Stage != "kubernetes" || stopped.Phase != "render" || !stopped.At.Equal(at(90)) {
		t.Errorf("a job that its user cancelled stopped at %+v", stopped)
	}
	if got := Build(&Input{Record: whole}, at(100)).Stop; got == nil || got.Stage != "" || got.Phase != "" {
		t.Errorf("one of which nothing else is known stopped at %+v", got)
	}
	if got := Build(&Input{Record: status(job.StateSucceeded, job.EvidenceCondition, 9)}, at(10)).Stop; got != nil {
		t.Errorf("a job that succeeded stopped at %+v", got)
	}
}

package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

func (b *bench) run(t *testing.T) *report.Report {
	t.Helper()
	r, err := New(b.Parts, b.opts).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fates are the fates of the jobs by id.
func fates(r *report.Report) map[string]string {
	out := map[string]string{}
	for _, it := range r.Items {
		out[it.JobID] = it.Action + "/" + it.Reason + "/" + string(it.Fate)
	}
	return out
}

// mixed fills the bench with one job of each fate.
func mixed(b *bench) map[string]string {
	b.records.put(kubernetes("gone", 2*time.Hour))
	b.records.put(kubernetes("marked", 2*time.Hour))
	b.world.output["marked"] = judge.Output{Probe: judge.Answered, Finding: judge.OutputMarked, At: now.Add(-time.Hour)}
	alive := kubernetes("alive", 2*time.Hour)
	b.records.put(alive)
	b.world.cluster["alive"] = lives(alive)
	b.records.put(kubernetes("dark", 2*time.Hour))
	b.world.cluster["dark"] = judge.Cluster{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: "503"}}
	b.records.put(backend("stalled", 2*time.Hour))
	b.records.put(kubernetes("young", time.Minute))
	elsewhere := kubernetes("elsewhere", 2*time.Hour)
	elsewhere.Kubernetes.Cluster = "other"
	b.records.put(elsewhere)
	b.records.unreadable = []jobstore.Unreadable{{JobID: "garbled", Err: errors.New("field merge: is a string")}}
	return map[string]string{
		"gone": "fail/GONE/written", "marked": "succeed/MARKER/written", "alive": "leave/RUNNING/left",
		"dark": "cannot judge/CLUSTER_UNAVAILABLE/unjudged", "stalled": "resume/RESUME/written",
		"garbled": "cannot judge/RECORD_UNREADABLE/unjudged",
	}
}

func TestRun_CarriesOutEachVerdictOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := mixed(b)
	r := b.run(t)
	if diff := cmp.Diff(want, fates(r)); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if r.State != report.Done || r.Read != 8 || r.Looked != 6 || r.Unsettled() != 2 {
		t.Errorf("report %+v", r)
	}
	decided := map[string]jobstore.Decision{}
	for _, d := range b.records.decisions {
		id := d.On.Record.JobID
		if _, twice := decided[id]; twice || d.Fence.Document != "fence-"+id {
			t.Errorf("%s: decided twice %v, fence %+v", id, twice, d.Fence)
		}
		decided[id] = d
	}
	if len(decided) != 3 {
		t.Fatalf("%d decisions", len(decided))
	}
	for _, id := range []string{"gone", "marked", "stalled"} {
		if !slices.Contains(b.outbox.ids, "update-"+id) {
			t.Errorf("nothing of %s was offered: %v", id, b.outbox.ids)
		}
	}
	if v := b.records.rows["gone"].Record.View(); v.State != job.StateFailed || v.Evidence != job.EvidenceAbsence || v.Detail == "" {
		t.Errorf("gone: %+v", v)
	}
	// What lives is looked at ever later; what is not due when it is due.
	if at := b.records.postponed["alive"]; !at.Equal(now.Add(2 * time.Hour)) {
		t.Errorf("alive is looked at again at %s", at)
	}
	if at := b.records.postponed["young"]; !at.Equal(now.Add(29 * time.Minute)) {
		t.Errorf("young is looked at at %s", at)
	}
	if row := b.journal.final(); row.State != runs.StateDone || row.Counts["written"] != 3 || row.Counts["looked"] != 6 ||
		row.Reasons["GONE"] != 1 || len(row.Cursors) != 0 || row.Token != 7 || row.EndedAt.IsZero() {
		t.Errorf("run on record %+v", row)
	}
}

func TestRun_PlanAsksTheSameAndWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := mixed(b)
	for id, fate := range want {
		want[id] = strings.Replace(fate, "/written", "/planned", 1)
	}
	want["stray"] = "create record/NO_RECORD/planned"
	// Without them, a call would panic.
	b.Writer, b.Journal, b.Outbox, b.Fence = nil, nil, nil, nil
	stray := kubernetes("stray", time.Hour)
	b.Cluster = labels{{JobID: "stray", CreatedAt: now.Add(-time.Hour), Claims: []job.Observation{*stray}}}
	r := b.run(t)
	if diff := cmp.Diff(want, fates(r)); diff != "" || !r.Plan {
		t.Errorf("plan %v, fates (-want +got):\n%s", r.Plan, diff)
	}
	if len(b.records.decisions)+len(b.records.postponed)+len(b.records.applied) > 0 {
		t.Error("a plan has written")
	}
}

// decode reads the entries of a decision.
func decode[M proto.Message](t *testing.T, d *jobstore.Decision, topic string, into M) M {
	t.Helper()
	i := slices.IndexFunc(d.Entries, func(e jobstore.Entry) bool { return e.Topic == topic })
	if i < 0 {
		t.Fatalf("nothing for %s in %+v", topic, d.Entries)
	}
	if err := proto.Unmarshal(d.Entries[i].Payload, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func TestRun_ResumeGoesOutWithItsCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.records.put(backend("stalled", 2*time.Hour), func(s *jobstore.Stored) {
		s.Meta.Recovery = jobstore.Recovery{Resumes: 1, ResumeAttempt: 1, ResumeUntil: now.Add(-time.Hour)}
	})
	b.run(t)
	if len(b.records.decisions) != 1 {
		t.Fatalf("%d decisions", len(b.records.decisions))
	}
	d := &b.records.decisions[0]
	until := now.Add(15 * time.Minute)
	if d.Resume == nil || d.Resume.Attempt != 1 || !d.Resume.Until.Equal(until) || !d.CheckAfter.Equal(until) || len(d.Claims) > 0 {
		t.Fatalf("decision %+v", d)
	}
	c := decode(t, d, "job-commands", &resiliencyv1.JobCommand{})
	if c.GetJobId() != "stalled" || c.GetExpectedAttempt() != 1 || !c.GetNotAfter().AsTime().Equal(until) ||
		c.GetResumeRequested().GetNewAttempt() != 2 || c.GetResumeRequested().GetResumesBefore() != 1 ||
		c.GetStage().GetName() != job.StageBackend || c.GetReason() == "" {
		t.Errorf("command %v", c)
	}
	if want := job.EventID("job-command", "resume", "stalled", "1", "1"); c.GetEventId() != want {
		t.Errorf("its id is not that of the second command to the job")
	}
	p := decode(t, d, "job-phases", &resiliencyv1.PhaseEvent{})
	if p.GetName() != phaseName || p.GetRecoveryJudged().GetRunId() != "r-1" || p.GetRecoveryJudged().GetRule() != "backend" ||
		p.GetRecoveryJudged().GetReasoning() == "" || p.GetDetails()["new_attempt"] != "2" {
		t.Errorf("phase %v", p)
	}
}

func TestRun_GuardWithholdsJustThose(t *testing.T) {
	t.Parallel()
	for _, confirmed := range []bool{false, true} {
		t.Run(fmt.Sprint("confirmed_", confirmed), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.opts.Guard.Confirmed = confirmed
			for i := range 25 {
				b.records.put(kubernetes(fmt.Sprintf("gone-%02d", i), 2*time.Hour))
			}
			b.records.put(kubernetes("marked", 2*time.Hour))
			b.world.output["marked"] = judge.Output{Probe: judge.Answered, Finding: judge.OutputMarked, At: now}
			r := b.run(t)
			want := map[string]int{"written": 1, "withheld": 25}
			if confirmed {
				want = map[string]int{"written": 26}
			}
			if diff := cmp.Diff(want, r.Counts); diff != "" || (r.Unsettled() == 0) != confirmed {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if len(b.records.decisions) != want["written"] {
				t.Errorf("%d decisions", len(b.records.decisions))
			}
		})
	}
}

// Records made for Kubernetes Jobs that had none are no jobs that were looked at: a
// cluster that is another one by the same name has both, all jobs gone and many
// unknown.
func TestRun_NewRecordsDoNotMakeTheFailuresFew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 25 {
		b.records.put(kubernetes(fmt.Sprintf("gone-%02d", i), 2*time.Hour))
	}
	strays := labels{}
	for i := range 200 {
		stray := kubernetes(fmt.Sprintf("stray-%03d", i), time.Hour)
		strays = append(strays, Labelled{JobID: stray.JobID, CreatedAt: now.Add(-time.Hour), Claims: []job.Observation{*stray}})
	}
	b.Cluster = strays
	r := b.run(t)
	if diff := cmp.Diff(map[string]int{"written": 200, "withheld": 25}, r.Counts); diff != "" || r.Looked != 25 || len(b.records.decisions) > 0 {
		t.Errorf("%d looked at, %d decisions, counts (-want +got):\n%s", r.Looked, len(b.records.decisions), diff)
	}
}

func TestRun_WhatHasMovedIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.records.put(kubernetes("gone", 2*time.Hour))
	b.records.decideFault = func(*jobstore.Decision) error { return jobstore.ErrMoved }
	if got := fates(b.run(t)); got["gone"] != "fail/GONE/moved" {
		t.Errorf("fates %v", got)
	}
	b.records.decideFault = func(*jobstore.Decision) error { return errors.New("no answer") }
	if r := b.run(t); fates(r)["gone"] != "fail/GONE/failed" || r.Unsettled() != 1 || r.State != report.Done {
		t.Errorf("fates %v", fates(r))
	}
}

func TestRun_EndsWhenItIsFenced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 50 {
		b.records.put(backend(fmt.Sprint("j", i), 2*time.Hour))
	}
	calls := 0
	b.records.decideFault = func(*jobstore.Decision) error { calls++; return jobstore.ErrFenced }
	r, err := New(b.Parts, b.opts).Run(t.Context())
	if !errors.Is(err, jobstore.ErrFenced) || r.State != report.Failed || calls > b.opts.Parallel {
		t.Errorf("%v, %s, %d tries to write", err, r.State, calls)
	}
}

// What is judged again after a long wait is not carried out on old evidence.
func TestRun_OldEvidenceIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	back := kubernetes("back", 2*time.Hour)
	b.records.put(back)
	b.records.put(kubernetes("gone", 2*time.Hour))
	at := now
	b.Now = func() time.Time { return at }
	runner := New(b.Parts, b.opts)
	runner.report.Counts, runner.report.Reasons = map[string]int{}, map[string]int{}
	if err := runner.judgeAll(t.Context(), place{}); err != nil || len(runner.held) != 2 {
		t.Fatalf("%v, %d held", err, len(runner.held))
	}
	at = now.Add(2 * time.Minute)
	b.world.cluster["back"] = lives(back)
	if err := runner.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fates(&runner.report); got["back"] != "leave/RUNNING/left" || got["gone"] != "fail/GONE/written" {
		t.Errorf("fates %v", got)
	}
}

func TestRun_CreatesMissingRecords(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	claims := func(id string) []job.Observation { return []job.Observation{*kubernetes(id, time.Hour)} }
	b.records.put(kubernetes("known", time.Minute))
	b.Cluster = labels{
		{JobID: "known", CreatedAt: now.Add(-time.Hour), Claims: claims("known")},
		{JobID: "stray", CreatedAt: now.Add(-time.Hour), Claims: claims("stray")},
		{JobID: "stray", CreatedAt: now.Add(-time.Hour), Claims: claims("stray")},
		{JobID: "fresh", CreatedAt: now.Add(-time.Minute), Claims: claims("fresh")},
		{JobID: "", CreatedAt: now.Add(-time.Hour)},
	}
	r := b.run(t)
	if diff := cmp.Diff([][]string{{"known", "stray"}}, b.records.missed); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
	if len(b.records.applied) != 2 || b.records.applied[0].JobID != "stray" || !slices.Contains(b.outbox.ids, "update-stray") {
		t.Errorf("applied %+v", b.records.applied)
	}
	if got := fates(r); got["stray"] != "create record/NO_RECORD/written" || len(got) != 1 {
		t.Errorf("fates %v", got)
	}
}

func TestRun_OnlyAndRule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mixed(b)
	b.opts.Only = "young"
	if got := fates(b.run(t)); len(got) != 1 || got["young"] != "leave/NOT_DUE/left" {
		t.Errorf("only: %v", got)
	}
	b.opts.Only, b.opts.Rule = "", "backend"
	if got := fates(b.run(t)); len(got) != 2 || got["stalled"] != "resume/RESUME/written" {
		t.Errorf("of a rule: %v", got)
	}
	b.opts.Only, b.opts.Rule = "nobody", ""
	if r, err := New(b.Parts, b.opts).Run(t.Context()); err == nil || r.State != report.Failed {
		t.Errorf("a job without a record: %v", err)
	}
}

func TestRun_StoreThatDoesNotAnswerEndsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 30 {
		b.records.put(kubernetes(fmt.Sprint("gone", i), 2*time.Hour))
	}
	b.opts.Guard.Confirmed = true
	b.records.dueFault = func(shard int) error {
		if shard == 2 {
			return errors.New("no answer")
		}
		return nil
	}
	r, err := New(b.Parts, b.opts).Run(t.Context())
	if err == nil || r.State != report.Failed || len(b.records.decisions) > 0 {
		t.Errorf("%v, %s, %d decisions", err, r.State, len(b.records.decisions))
	}
	if c, ok := b.journal.final().Cursors["2"]; !ok || c.JobID != "" {
		t.Errorf("the next run begins at %+v", b.journal.final().Cursors)
	}
}

func TestRun_LeavesOffWhenItIsToldToEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 30 {
		b.records.put(kubernetes(fmt.Sprint("gone", i), 2*time.Hour))
	}
	b.world.onCluster = func(judge.ClusterQuery) { cancel() }
	r, err := New(b.Parts, b.opts).Run(ctx)
	if err == nil || r.State != report.Cut || len(b.records.decisions) > 0 || len(b.journal.final().Cursors) != 1 {
		t.Errorf("%v, %s, %d decisions", err, r.State, len(b.records.decisions))
	}
}

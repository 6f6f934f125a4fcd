package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, r := range slices.Concat(recordRows, clusterRows, goneRows, silentRows) {
		if names[r.name] {
			t.Errorf("two rows are called %s", r.name)
		}
		names[r.name] = true
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			judge, e, w := testJudge(t), &Evidence{Now: now(), Record: r.record, Pipeline: well()}, r.world
			if w == nil {
				w = nothing()
			}
			if r.edit != nil {
				r.edit(judge, e)
			}
			v := judge.Inquire(t.Context(), w, e)
			if v.Action != r.action || v.Reason != r.reason || v.State != r.state || v.Evidence != r.evidence || v.Attention != r.told {
				t.Errorf("got %s %s %s %s told=%v: %s", v.Action, v.Reason, v.State, v.Evidence, v.Attention, v.Sentence)
			}
			if !r.after.IsZero() && !v.CheckAfter.Equal(r.after) {
				t.Errorf("looks again at %s, want %s", v.CheckAfter, r.after)
			}
			checkVerdict(t, e, &v)
		})
	}
}

// checkVerdict holds every verdict to what holds for all.
func checkVerdict(t interface{ Errorf(string, ...any) }, e *Evidence, v *Verdict) {
	if v.Sentence == "" || strings.Contains(v.Sentence, "\n") || v.User == "" || v.Developers == "" {
		t.Errorf("texts %q, %q, %q", v.Sentence, v.User, v.Developers)
	}
	claims := map[Action]bool{ActionAdopt: true, ActionSucceed: true, ActionFail: true, ActionDelay: true}
	if claims[v.Action] != (len(v.Claims) > 0) || (v.Action == ActionResume) != (v.Resume != nil) {
		t.Errorf("%s with %d claims and resume %v", v.Action, len(v.Claims), v.Resume)
	}
	if v.Action == ActionCannotJudge && (v.Writes() || !v.CheckAfter.IsZero()) {
		t.Errorf("%s would write: next look %s", v.Action, v.CheckAfter)
	}
	if len(v.Claims) == 0 {
		return
	}
	after := *e.Record
	for i := range v.Claims {
		c := &v.Claims[i]
		if !after.Apply(c).Changed() {
			t.Errorf("claim %d changes nothing: %+v", i, c)
		}
		if c.OccurredAt.IsZero() || c.EventID != "" && v.Action == ActionAdopt {
			continue // of the cluster, whose own test decodes it
		}
		if _, err := jobevent.Decode(jobevent.Encode(c), e.Now); err != nil {
			t.Errorf("claim %d breaks the contract: %v", i, err)
		}
	}
	if view := after.View(); v.State != job.StateUnspecified && (view.State != v.State || view.Evidence != v.Evidence) {
		t.Errorf("the record becomes %s by %s, the verdict is %s by %s", view.State, view.Evidence, v.State, v.Evidence)
	}
	if v.Action == ActionDelay && !after.View().Delayed {
		t.Errorf("the record is not delayed afterwards")
	}
}

func TestJudge_resume(t *testing.T) {
	t.Parallel()
	e := &Evidence{Now: now(), Record: backend(), Pipeline: well(), Resumes: Resumes{Asked: 1}}
	v := testJudge(t).Inquire(t.Context(), nothing(), e)
	want := &Resume{
		Stage: job.StageBackend, Ordinal: job.OrdinalBackend, ExpectedAttempt: 1, NewAttempt: 2, Before: 1,
		NotAfter: now().Add(15 * time.Minute),
	}
	if diff := cmp.Diff(want, v.Resume); diff != "" {
		t.Error(diff)
	}
}

// What costs most is asked last, and only if it can matter.
func TestJudge_asksInOrder(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		record *job.Record
		world  *world
		want   []Need
	}{
		{"not_due", record(said(now())), nothing(), nil},
		{"runs", running(), with(cluster(shown(kubeJob(StandRunning, said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour))))))), []Need{NeedCluster}},
		{"marker", running(), with(left(OutputMarked)), []Need{NeedCluster, NeedOutput}},
		{"gone", running(), nothing(), []Need{NeedCluster, NeedOutput, NeedPhase, NeedClusterLive}},
		{"silent", backend(writes), nothing(), []Need{NeedCluster, NeedOutput, NeedPhase, NeedClusterLive}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testJudge(t).Inquire(t.Context(), c.world, &Evidence{Now: now(), Record: c.record, Pipeline: well()})
			if diff := cmp.Diff(c.want, c.world.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJudge_outputQuery(t *testing.T) {
	t.Parallel()
	j := testJudge(t)
	r := record(said(ago(5*time.Hour), inCluster("u-1", ago(5*time.Hour)), writes), said(ago(2*time.Hour), attempt(2)))
	got := j.OutputQuery(&Evidence{Now: now(), Record: r})
	// The Job of attempt 1 is not that of attempt 2, and its start not its start.
	if got.UID != "" || got.Attempt != 2 || !got.Started.Equal(ago(2*time.Hour)) || got.URI != place || got.Want != j.Rules.Rules[0].Output {
		t.Errorf("got %+v", got)
	}
	got = j.OutputQuery(&Evidence{Now: now(), Record: running()})
	if got.UID != "u-1" || !got.Started.Equal(ago(3*time.Hour)) {
		t.Errorf("got %+v", got)
	}
}

// A healthy job of twenty hours is looked at five times by an hourly run.
func TestJudge_looksEverMoreRarely(t *testing.T) {
	t.Parallel()
	looks, next := 0, time.Time{}
	began := ago(20 * time.Hour)
	for at := began; !at.After(now()); at = at.Add(time.Hour) {
		e := &Evidence{
			Now: at, Record: record(said(began, inCluster("u-1", began))), UpdatedAt: began, Pipeline: well(),
			Cluster: shown(kubeJob(StandRunning, said(began, inCluster("u-1", began)))),
		}
		if at.Before(next) {
			continue
		}
		v := testJudge(t).Judge(e)
		if v.Reason != ReasonNotDue {
			looks++
		}
		next = v.CheckAfter
	}
	if looks != 5 {
		t.Errorf("looked %d times, want 5", looks)
	}
}

func TestJudge_texts(t *testing.T) {
	t.Parallel()
	v := testJudge(t).Inquire(t.Context(), nothing(), &Evidence{Now: now(), Record: running(), Pipeline: well()})
	want := "your job j-1 FAILED: its Kubernetes Job ml/train is gone and left nothing in gs://out/j-1/"
	if v.User != want || v.Claims[0].Cause.Message != want || v.Developers != "kubernetes GONE 0/0" {
		t.Errorf("got %q, %q", v.User, v.Developers)
	}
	for _, part := range []string{"verdict: fail (GONE)", "record: RUNNING", "rule: kubernetes", "cluster c1, live", "output gs://out/j-1/: EMPTY"} {
		if !strings.Contains(v.Claims[0].Detail, part) {
			t.Errorf("detail %q, want %q in it", v.Claims[0].Detail, part)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	absent := Verdict{Action: ActionFail, State: job.StateFailed, Evidence: job.EvidenceAbsence, Claims: make([]job.Observation, 1)}
	adopted := Verdict{Action: ActionAdopt, State: job.StateFailed, Evidence: job.EvidenceCondition}
	cases := []struct {
		name   string
		absent int
		looked int
		guard  Guard
		want   int
	}{
		{"few", 20, 20, DefaultGuard(), 0},
		{"many", 21, 21, DefaultGuard(), 21},
		{"many_of_many_more", 100, 500, DefaultGuard(), 0},
		{"one_too_many", 101, 500, DefaultGuard(), 101},
		{"confirmed", 500, 500, Guard{Percent: 20, AtLeast: 20, Confirmed: true}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := append(slices.Repeat([]Verdict{absent}, c.absent), adopted)
			if got := c.guard.Withhold(all, c.looked); got != c.want {
				t.Errorf("withheld %d, want %d", got, c.want)
			}
			if all[c.absent].Action != ActionAdopt {
				t.Error("the truth was withheld")
			}
			if held := all[0].Action == ActionWithheld; held != (c.want > 0) || held && (all[0].Claims != nil || all[0].Writes()) {
				t.Errorf("first is %+v", all[0])
			}
		})
	}
}

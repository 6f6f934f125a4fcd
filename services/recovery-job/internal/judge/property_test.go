package judge

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
)

// drawClaim draws from few values a field, so that lives meet.
func drawClaim(t *rapid.T, name string) job.Observation {
	hours := rapid.SampledFrom([]int{-1, 0, 1, 2, 7, 30}).Draw(t, name+" age")
	o := said(ago(time.Duration(hours)*time.Hour), attempt(rapid.Int32Range(1, 2).Draw(t, name+" attempt")),
		owner(rapid.SampledFrom([]string{"", "any", "none", "look", "again", "late"}).Draw(t, name+" owner")))
	o.State = rapid.SampledFrom([]job.State{job.StatePending, job.StateRunning, job.StateSuspended}).Draw(t, name+" state")
	switch rapid.IntRange(0, 4).Draw(t, name+" place") {
	case 0:
		inCluster(rapid.SampledFrom([]string{"u-1", "u-2"}).Draw(t, name+" uid"), ago(time.Duration(hours+1)*time.Hour))(&o)
	case 1:
		inCluster("u-1", ago(time.Duration(hours+1)*time.Hour))(&o)
		goesOn(&o)
		o.StageDone = o.State == job.StateRunning && rapid.Bool().Draw(t, name+" done")
	case 2:
		o.Stage, o.Ordinal = "closing", 40
	case 3:
		o.Stage = "x"
	}
	if rapid.Bool().Draw(t, name+" writes") {
		writes(&o)
	}
	switch rapid.IntRange(0, 5).Draw(t, name+" kind") {
	case 0:
		o.Kind, o.LastState = job.KindVanished, o.State
	case 1:
		o.Kind, o.Delayed = job.KindDelay, true
	}
	return o
}

func drawJob(t *rapid.T, name string) FoundJob {
	if rapid.IntRange(0, 9).Draw(t, name+" unreadable") == 0 {
		return FoundJob{Problem: "unreadable", Stand: rapid.SampledFrom([]Stand{StandEnded, StandRunning}).Draw(t, name+" stand")}
	}
	created := ago(time.Duration(rapid.IntRange(1, 9).Draw(t, name+" created")) * time.Hour)
	claim := said(created, inCluster(rapid.SampledFrom([]string{"u-1", "u-2", "u-3"}).Draw(t, name+" uid"), created),
		attempt(rapid.Int32Range(1, 3).Draw(t, name+" attempt")))
	stand := rapid.SampledFrom([]Stand{StandEnded, StandEnding, StandRunning, StandWaiting, StandSuspended}).Draw(t, name+" stand")
	end := claim
	state(rapid.SampledFrom([]job.State{job.StateSucceeded, job.StateFailed}).Draw(t, name+" end"), job.EvidenceCondition)(&end)
	claim.Generation = rapid.Int64Range(0, 2).Draw(t, name+" generation")
	f := kubeJob(stand, claim, waits(rapid.SampledFrom([]Wait{WaitNone, WaitRoom, WaitQueue, WaitImage}).Draw(t, name+" wait")))
	switch stand {
	case StandEnded:
		f.Claims = []job.Observation{end}
	case StandEnding:
		f.Decided, f.Live = []job.Observation{end}, rapid.IntRange(0, 1).Draw(t, name+" live")
	case StandRunning, StandWaiting, StandSuspended:
		f.Live = 1
	}
	f.Deleting = rapid.IntRange(0, 3).Draw(t, name+" deleting") == 0
	return f
}

// leaving reports whether the life that the cluster shows is being deleted.
func leaving(c *Cluster) bool {
	f := (&inquest{Evidence: &Evidence{Cluster: *c}}).newest(func(f *FoundJob) bool { return f.Stand != StandEnded })
	return f != nil && f.Deleting && f.Stand != StandEnding
}

func drawCluster(t *rapid.T, name string) Cluster {
	switch rapid.IntRange(0, 5).Draw(t, name) {
	case 0:
		return Cluster{Probe: Failed, Fault: Fault{Kind: FaultUnavailable, Err: "down"}}
	case 1:
		return Cluster{Probe: Answered, Pods: []string{"ml/p"}}
	case 2, 3:
		return shown()
	default:
		return shown(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) FoundJob { return drawJob(t, name) }), 1, 2).Draw(t, name+" jobs")...)
	}
}

func drawWorld(t *rapid.T) *world {
	w := &world{list: drawCluster(t, "list"), live: drawCluster(t, "live")}
	w.output = Output{Probe: Failed, Fault: Fault{Kind: FaultRefused, Err: "403"}}
	if rapid.IntRange(0, 3).Draw(t, "output fails") > 0 {
		all := []Finding{OutputEmpty, OutputMarked, OutputObjects, OutputIncomplete, OutputOld, OutputForeign, OutputUnsigned, OutputUndated, OutputUnsettled}
		left(rapid.SampledFrom(all).Draw(t, "output"))(w)
	}
	w.phase = Phase{Probe: Failed, Fault: Fault{Kind: FaultUnavailable, Err: "down"}}
	if rapid.IntRange(0, 3).Draw(t, "phase fails") > 0 {
		w.phase = Phase{Probe: Answered, At: ago(time.Duration(rapid.IntRange(-1, 3).Draw(t, "phase age")) * time.Hour)}
	}
	return w
}

// failed reports whether anything that was asked had no answer.
func (w *world) failed() bool {
	return slices.Contains(w.asked, NeedCluster) && w.list.Probe == Failed ||
		slices.Contains(w.asked, NeedClusterLive) && w.live.Probe == Failed ||
		slices.Contains(w.asked, NeedOutput) && w.output.Probe == Failed ||
		slices.Contains(w.asked, NeedPhase) && w.phase.Probe == Failed
}

// lastHeard is when the record was last heard of.
func lastHeard(e *Evidence) time.Time { return (&inquest{Evidence: e}).lastHeard() }

// alive reports whether the cluster shows a sign of life.
func alive(c *Cluster) bool {
	return len(c.Pods) > 0 || slices.ContainsFunc(c.Jobs, func(f FoundJob) bool { return f.Stand != StandEnded })
}

func TestJudge_laws(t *testing.T) {
	t.Parallel()
	judge := testJudge(t)
	rapid.Check(t, func(t *rapid.T) {
		r := record(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) job.Observation { return drawClaim(t, "claim") }), 1, 3).Draw(t, "claims")...)
		w := drawWorld(t)
		e := &Evidence{
			Now: now(), Record: r, Pipeline: well(),
			Resumes: Resumes{Asked: rapid.IntRange(0, 2).Draw(t, "resumes"), Attempt: 1},
		}
		if rapid.Bool().Draw(t, "pubsub down") {
			e.Pipeline.PubSub = "down"
		}
		before := *r
		v := judge.Inquire(t.Context(), w, e)
		checkVerdict(t, e, &v)
		if !before.Equal(r) {
			t.Errorf("judging changed the record")
		}
		if w.failed() && v.Action != ActionCannotJudge {
			t.Errorf("%s (%s) although something had no answer", v.Action, v.Reason)
		}
		closes := v.Action == ActionResume || v.FromSilence()
		if closes && (alive(&w.list) || !slices.Contains(w.asked, NeedClusterLive) || alive(&w.live)) {
			t.Errorf("%s (%s) although the job lives, or nobody looked", v.Action, v.Reason)
		}
		if newer := w.phase.At.After(e.Now.Add(-time.Hour)) && w.phase.At.After(lastHeard(e)); closes && (newer || !slices.Contains(w.asked, NeedPhase)) {
			t.Errorf("%s (%s) although a phase is newer, or nobody asked for one", v.Action, v.Reason)
		}
		if leaving(&w.list) && (v.Reason == ReasonNews || v.Action == ActionDelay) {
			t.Errorf("%s (%s) although its Kubernetes Job is being deleted", v.Action, v.Reason)
		}
		deaf := e.Pipeline.PubSub != ""
		if deaf && v.Action == ActionResume {
			t.Errorf("resumed while Pub/Sub is down")
		}
		if deaf && v.Evidence == job.EvidenceAssumed && v.Reason != ReasonHardLimit {
			t.Errorf("assumed (%s) while Pub/Sub is down", v.Reason)
		}
		if v.Evidence == job.EvidenceOutput && w.output.Finding != OutputMarked && w.output.Finding != OutputObjects {
			t.Errorf("succeeded by output that is %s", w.output.Finding)
		}
	})
}

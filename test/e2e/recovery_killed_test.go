//go:build integration

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

// killedCases are jobs that a run closes on the way, and jobs that it closes at
// its end, for they have nothing but absence.
func (w *world) killedCases(n int) []recoveryCase {
	cases := make([]recoveryCase, n)
	for i := range cases {
		id := fmt.Sprintf("k-%03d", i)
		c := recoveryCase{id: id, stage: inKubernetes, cluster: clusterAnswer{name: "gone"}, bucket: emptyBucket(), want: lost("GONE")}
		c.claim = func(o *job.Observation) {
			o.Kubernetes = job.Kubernetes{Cluster: stack.ClusterName, Namespace: w.Namespace, Name: id, UID: "uid-" + id, CreatedAt: o.OccurredAt}
		}
		if i%2 == 0 {
			c.want = succeededBy("MARKER")
			c.bucket = bucketAnswer{name: "marker", left: func(w *world, id, _ string) { w.mark(id, `{"uid":"uid-`+id+`"}`) }}
		}
		cases[i] = c
	}
	return cases
}

// A run is killed while it closes jobs by their output, the next one while it
// closes those that are lost. The third finds what is left. Every job is judged
// once, its user is told once, and the runs on record say what happened.
func TestRecoveryKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(newSystem(t, "rec-killed"))
	jobs := 60
	if soak() {
		jobs = 300
	}
	cases := w.killedCases(jobs)
	w.build(cases)
	// A commit takes so long that the run is caught in its middle.
	t.Cleanup(shared.Firestore.Inject(proxy.Fault{Project: w.ID, Method: "Commit", Delay: 20 * time.Millisecond}))
	env := []string{w.rules(matrixRules), "LEASE_TTL=" + runLease.String(), "LEASE_WAIT=1m", "PARALLEL=4"}
	w.killRecovery(env, "SUCCEEDED", jobs/8)
	w.killRecovery(env, "FAILED", jobs/8)
	r := w.recovery(0, env, "run", "--confirm-mass-failure")
	w.agedOutbox()
	w.recovery(0, env, "run")

	told := w.collectSent()
	w.eventually("all that is told", func() (bool, string) {
		return told.number() >= messages(cases), fmt.Sprintf("%d of %d", told.number(), messages(cases))
	})
	if n := w.outbox().number(); n > 0 {
		t.Errorf("%d messages are left in the outbox", n)
	}
	w.expectJudgedOnce(cases, told)
	w.expectRuns(r.report.RunID)
}

// killRecovery kills a run as soon as so many of its verdicts of a state are
// committed.
func (w *world) killRecovery(env []string, state string, verdicts int) {
	w.t.Helper()
	run := w.startRecovery(env, "run", "--confirm-mass-failure")
	w.eventually(fmt.Sprintf("%d verdicts %s", verdicts, state), func() (bool, string) {
		n := w.inState(state)
		return n >= verdicts, fmt.Sprint(n)
	})
	if err := run.Kill(); err != nil {
		w.t.Fatal(err)
	}
	if run.ExitCode() != -1 {
		w.t.Fatalf("the run ended by itself with %d before it was killed; log: %s", run.ExitCode(), run.LogPath())
	}
	w.t.Logf("killed with %d jobs %s", w.inState(state), state)
}

// expectJudgedOnce expects of each job one verdict, told once.
func (w *world) expectJudgedOnce(cases []recoveryCase, told *sent) {
	w.t.Helper()
	records := w.snapshot()
	told.mu.Lock()
	defer told.mu.Unlock()
	for i := range cases {
		c := &cases[i]
		doc := records[c.id]
		if field[string](doc, "state") != c.want.state || field[string](doc, "verdict.evidence") != c.want.evidence || field[int64](doc, "revision") != 2 {
			w.t.Errorf("%s: the record says %v, want %s by %s at revision 2", c.id, doc.Data(), c.want.state, c.want.evidence)
		}
		updates, phases := told.updates[c.id], told.phases[c.id]
		if len(updates) != 1 || kindOf(updates[0]) != c.want.update || updates[0].GetRevision() != 2 {
			w.t.Errorf("%s: updates %v", c.id, updates)
		}
		if len(phases) != 1 || phases[0].GetDetails()["reason"] != c.want.reason {
			w.t.Errorf("%s: phases %v", c.id, phases)
		}
	}
	if len(told.wrong) > 0 {
		w.t.Errorf("wrong messages: %v", told.wrong)
	}
}

// expectRuns expects two runs on record that did not come to their end, before one
// that did.
func (w *world) expectRuns(lastID string) {
	w.t.Helper()
	docs, err := w.firestore.Collection("recovery_runs").OrderBy("token", 1).Documents(w.t.Context()).GetAll()
	if err != nil {
		w.t.Fatal(err)
	}
	var states []string
	for i, doc := range docs {
		states = append(states, field[string](doc, "state"))
		if token := field[int64](doc, "token"); token != int64(i+1) {
			w.t.Errorf("run %d has token %d", i+1, token)
		}
	}
	if fmt.Sprint(states) != "[RUNNING RUNNING DONE DONE]" || docs[2].Ref.ID != lastID {
		w.t.Errorf("runs on record: %v; the third is %s, want %s", states, docs[2].Ref.ID, lastID)
	}
}

// runLease is how long a killed run keeps others out: as short as a busy machine
// allows.
const runLease = 8 * time.Second

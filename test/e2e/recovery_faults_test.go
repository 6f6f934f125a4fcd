//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

// faultCases are those of which somebody gives no answer.
func faultCases(kube *stack.KubeProxy) []recoveryCase {
	// The cluster would show the Job, if it were asked.
	api := func(id, stage, name, reason string, fault stack.HTTPFault) recoveryCase {
		fault.Contains = "job-id=" + id
		kube.Inject(fault)
		c := recoveryCase{id: id, stage: stage, cluster: completeJob(), bucket: emptyBucket(), want: unjudged(reason)}
		if stage != inKubernetes {
			c.cluster = neverThere()
		}
		c.cluster.name = name
		return c
	}
	output := func(id, stage string, bucket bucketAnswer, reason string) recoveryCase {
		c := recoveryCase{id: id, stage: stage, cluster: forgottenJob(), bucket: bucket, want: unjudged(reason)}
		if stage != inKubernetes {
			c.cluster = neverThere()
		}
		return c
	}
	cases := []recoveryCase{
		api("k-500", inKubernetes, "API error 500", "CLUSTER_UNAVAILABLE", stack.HTTPFault{Status: http.StatusInternalServerError}),
		api("k-429", inKubernetes, "API error 429", "CLUSTER_UNAVAILABLE", stack.HTTPFault{Status: http.StatusTooManyRequests}),
		api("k-slow", inKubernetes, "API does not answer", "CLUSTER_UNAVAILABLE", stack.HTTPFault{Delay: time.Minute}),
		api("b-500", inBackend, "API error 500", "CLUSTER_UNAVAILABLE", stack.HTTPFault{Status: http.StatusInternalServerError}),
		api("f-502", inFaces, "API error 502", "CLUSTER_UNAVAILABLE", stack.HTTPFault{Status: http.StatusBadGateway}),
		api("k-403", inKubernetes, "API refuses", "CLUSTER_REFUSED", stack.HTTPFault{As: "nobody"}),
		api("f-403", inFaces, "API refuses", "CLUSTER_REFUSED", stack.HTTPFault{As: "nobody"}),
		output("k-output-403", inKubernetes, faultyBucket(http.StatusForbidden), "OUTPUT_REFUSED"),
		output("b-output-403", inBackend, faultyBucket(http.StatusForbidden), "OUTPUT_REFUSED"),
		output("k-output-500", inKubernetes, faultyBucket(http.StatusInternalServerError), "OUTPUT_UNAVAILABLE"),
		output("k-output-429", inKubernetes, faultyBucket(http.StatusTooManyRequests), "OUTPUT_UNAVAILABLE"),
		output("k-no-bucket", inKubernetes, noBucket(), "OUTPUT_MISCONFIGURED"),
		{id: "b-phases", stage: inBackend, cluster: neverThere(), want: unjudged("PHASES_UNAVAILABLE")},
	}
	return cases
}

// What nobody can answer is not judged: nothing is written of these jobs, people
// are told, and the exit code says so.
func matrixFaults(t *testing.T, seen *outcomes) {
	kube, err := shared.StartKubeProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kube.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(newSystem(t, "rec-faults"))
	w.heartbeat()
	cases := faultCases(kube)
	w.build(cases)
	t.Cleanup(shared.Firestore.Inject(proxy.Fault{Project: w.ID, Method: "RunQuery", Contains: "/jobs/b-phases", Code: codes.PermissionDenied}))
	// Nor can all labelled Jobs be listed.
	kube.Inject(stack.HTTPFault{Contains: "labelSelector=resiliency.envision.dev/job-id&", Status: http.StatusInternalServerError})
	before := w.snapshot()
	shared.Firestore.ResetCounts(w.ID)
	env := []string{w.rules(matrixRules), "KUBECONFIG=" + kube.Kubeconfig(), "PROBE_TIMEOUT=4s"}
	r := w.recovery(1, env, "run")
	if it := r.item("-"); it.Reason != "STORE" || it.Fate != "unjudged" {
		t.Errorf("that the labelled Jobs cannot be listed is told as %+v", it)
	}
	m := &matrix{world: w, run: r, cases: cases, before: before, told: w.outbox()}
	m.check(seen)
	w.expectNothingWritten(m)

	// The whole cluster is gone.
	env[1] = "KUBECONFIG=" + w.deadCluster()
	m.run = w.recovery(1, env, "run")
	for i := range m.cases {
		m.cases[i].want = unjudged("CLUSTER_UNAVAILABLE")
	}
	m.check(seen)
	w.expectNothingWritten(m)
}

// expectNothingWritten goes by the proxy's count of what was written since it was
// last reset, and by the documents themselves.
func (w *world) expectNothingWritten(m *matrix) {
	w.t.Helper()
	counts := shared.Firestore.Counts(w.ID)
	for _, collection := range []string{"jobs", "outbox", "jobs/*/phases"} {
		if n := counts.Writes[collection] + counts.Deletes[collection]; n > 0 {
			w.t.Errorf("%d documents of %s were written though nothing could be judged", n, collection)
		}
	}
	if counts.Writes["recovery_runs"] == 0 {
		w.t.Errorf("the run itself is not on record: %v", counts.Writes)
	}
	for id, was := range m.before {
		is := m.after[id]
		if !is.UpdateTime.Equal(was.UpdateTime) || field[int64](is, "revision") != field[int64](was, "revision") ||
			!field[time.Time](is, "updated_at").Equal(field[time.Time](was, "updated_at")) {
			w.t.Errorf("%s was written, from %v to %v", id, was.Data(), is.Data())
		}
	}
	if n := m.told.number() + w.outbox().number(); n > 0 {
		w.t.Errorf("%d messages were made", n)
	}
}

// deadCluster is the kubeconfig of a cluster that does not answer any more.
func (w *world) deadCluster() string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// badCases are those that the record, the Job or the output itself makes
// impossible to judge.
func badCases() []recoveryCase {
	return []recoveryCase{
		{id: "k-unreadable", stage: inKubernetes, cluster: unreadableJob(), want: unjudged("JOB_UNREADABLE")},
		{id: "k-unsigned", stage: inKubernetes, cluster: removedJob(), bucket: unsignedMarker(), want: unjudged("OUTPUT_UNSIGNED")},
		{
			id: "k-undated", stage: inKubernetes, cluster: removedJob(), bucket: markerLeft(), want: unjudged("OUTPUT_UNDATED"),
			claim: func(o *job.Observation) { o.OccurredAt, o.Kubernetes.CreatedAt = time.Time{}, time.Time{} },
		},
		{
			id: "k-future", stage: inKubernetes, cluster: removedJob(), want: unjudged("TIMES_FUTURE"),
			claim: func(o *job.Observation) { o.OccurredAt = time.Now().Add(24 * time.Hour) },
		},
		{
			id: "b-undated", stage: inBackend, cluster: neverThere(), want: unjudged("TIMES_MISSING"),
			record: func(w *world, id string, _ *batchv1.Job) {
				o := w.silent(id, inBackend)
				o.OccurredAt = time.Time{}
				w.apply(w.recordsAt(time.Time{}), o)
			},
		},
		{
			id: "k-outside", stage: inKubernetes, cluster: neverThere(), want: unjudged("NAMESPACE"),
			claim: func(o *job.Observation) {
				o.Kubernetes = job.Kubernetes{Cluster: stack.ClusterName, Namespace: "not-on-the-list", Name: o.JobID, UID: "u", CreatedAt: o.OccurredAt}
			},
		},
		{
			// Its status speaks of a stage that the gone Kubernetes Job had not reached.
			id: "k-void", stage: "kubernetes-z", cluster: removedJob(), want: unjudged("VOID"),
			record: func(w *world, id string, j *batchv1.Job) {
				later := w.silent(id, "kubernetes-z")
				later.Ordinal = job.OrdinalKubernetes
				w.apply(w.records, w.inKubernetes(id, w.of(j)), later)
			},
		},
		{
			id: "b-newer", stage: inBackend, cluster: neverThere(), want: unjudged("RECORD_UNREADABLE"),
			record: func(w *world, id string, _ *batchv1.Job) {
				w.apply(w.records, w.silent(id, inBackend))
				_, err := w.firestore.Collection("jobs").Doc(id).Update(w.t.Context(), []firestore.Update{{Path: "merge.status.state", Value: "DREAMING"}})
				if err != nil {
					w.t.Fatal(err)
				}
			},
		},
	}
}

func matrixBad(t *testing.T, seen *outcomes) {
	w := newWorld(newSystem(t, "rec-bad"))
	w.heartbeat()
	cases := badCases()
	w.build(cases)
	before := w.snapshot()
	shared.Firestore.ResetCounts(w.ID)
	r := w.recovery(1, []string{w.rules(matrixRules)}, "run")
	m := &matrix{world: w, run: r, cases: cases, before: before, told: w.outbox()}
	m.check(seen)
	w.expectNothingWritten(m)
}

// A run that would fail most jobs because nothing is there withholds just those,
// alarms, and does the rest; whoever has looked may carry them out.
func matrixMass(t *testing.T, seen *outcomes) {
	w := newWorld(newSystem(t, "rec-mass"))
	var cases []recoveryCase
	for i := range 35 {
		id := fmt.Sprintf("k-%02d", i)
		c := recoveryCase{id: id, stage: inKubernetes, cluster: neverThere(), bucket: emptyBucket(), claim: func(o *job.Observation) {
			o.Kubernetes = job.Kubernetes{Cluster: stack.ClusterName, Namespace: w.Namespace, Name: id, UID: "uid-" + id, CreatedAt: o.OccurredAt}
		}}
		if c.want = lost("GONE"); i%7 == 0 {
			c.want = succeededBy("MARKER")
			c.bucket = bucketAnswer{name: "marker", left: func(w *world, id, _ string) { w.mark(id, `{"uid":"uid-`+id+`"}`) }}
		}
		c.cluster.name = "gone"
		cases = append(cases, c)
	}
	w.build(cases)
	before := w.snapshot()
	rules := w.rules(matrixRules)
	r := w.recovery(1, []string{rules}, "run")
	held := 0
	withheld := append([]recoveryCase(nil), cases...)
	for i := range withheld {
		if o := &withheld[i].want; o.reason == "GONE" {
			o.action, o.reason, o.fate, o.cause, o.update = "withheld", "MASS_FAILURE", "withheld", "LOST", ""
			held++
		}
	}
	told := w.collectSent()
	m := &matrix{world: w, run: r, cases: withheld, before: before, told: told.await(w.system, messages(withheld))}
	m.check(seen)
	if title := fmt.Sprintf("%d verdicts WITHHELD", held); !strings.Contains(w.digest(r.report.RunID), title) {
		t.Errorf("the digest does not begin with %q: %s", title, w.digest(r.report.RunID))
	}
	if m.after[cases[1].id] == nil || field[string](m.after[cases[1].id], "state") != "RUNNING" {
		t.Error("a withheld verdict was carried out")
	}
	known := told.ids()
	var rest []recoveryCase
	for i := range cases {
		if cases[i].want.reason == "GONE" {
			rest = append(rest, cases[i])
		}
	}
	r = w.recovery(0, []string{rules}, "run", "--confirm-mass-failure")
	m = &matrix{world: w, run: r, cases: rest, before: m.after, told: told.await(w.system, messages(cases)).without(known)}
	m.check(seen)
}

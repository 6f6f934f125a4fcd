//go:build integration

package e2e

import (
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/test/stack"
)

// recoveryCase is one cell of the matrix: where a job is stuck, what the cluster
// and the bucket answer, and what must become of it.
type recoveryCase struct {
	id      string
	stage   string
	cluster clusterAnswer
	bucket  bucketAnswer
	// attempt of the job on record; 0 means 1.
	attempt int32
	// claim changes the claim that the record is made from; record replaces it.
	claim  func(*job.Observation)
	record func(w *world, id string, j *batchv1.Job)
	want   outcome
}

// outcome is what a run makes of a job.
type outcome struct {
	// rule is the stage's when empty.
	rule                 string
	action, reason, fate string
	// state, evidence and cause are those of the verdict; empty for none.
	state, evidence, cause string
	// record is the state on record where it is neither the verdict's nor that of
	// before.
	record string
	// update is the kind of what the user is told, "" for nothing.
	update string
	// told says that the developers are told though nothing was done.
	told bool
}

// What becomes of a job, in the words of the table.

func adopted(reason, state, evidence, update string) outcome {
	return outcome{action: "adopt", reason: reason, fate: "written", state: state, evidence: evidence, update: update}
}

func succeededBy(reason string) outcome {
	return outcome{action: "succeed", reason: reason, fate: "written", state: "SUCCEEDED", evidence: "OUTPUT", update: "succeeded"}
}

// lost is failed because its Kubernetes Job is gone.
func lost(reason string) outcome {
	return outcome{action: "fail", reason: reason, fate: "written", state: "FAILED", evidence: "ABSENCE", cause: "LOST", update: "failed"}
}

// silenced is failed because nothing was heard of it.
func silenced(reason string) outcome {
	return outcome{action: "fail", reason: reason, fate: "written", state: "FAILED", evidence: "ASSUMED", cause: "SILENT", update: "failed"}
}

func isDelayed(reason string) outcome {
	return outcome{action: "delay", reason: reason, fate: "written", update: "delayed"}
}

func resumed() outcome { return outcome{action: "resume", reason: "RESUME", fate: "written"} }

func leftAlone(reason string) outcome { return outcome{action: "leave", reason: reason, fate: "left"} }

func unjudged(reason string) outcome {
	return outcome{action: "cannot judge", reason: reason, fate: "unjudged", told: true}
}

func (o outcome) recorded(state string) outcome { o.record = state; return o }
func (o outcome) by(rule string) outcome        { o.rule = rule; return o }
func (o outcome) of(cause string) outcome       { o.cause = cause; return o }
func (o outcome) toDevelopers() outcome         { o.told = true; return o }
func (o outcome) written() bool                 { return o.fate == "written" }
func (c *recoveryCase) ran() int32              { return max(c.attempt, 1) }
func (c *recoveryCase) inCluster() bool {
	return c.cluster.spec.Outcome != "" || c.cluster.spec.Suspended
}
func (c *recoveryCase) uri(w *world) string {
	if c.bucket.name == "" {
		return ""
	}
	if c.bucket.uri != nil {
		return c.bucket.uri(w, c.id)
	}
	return "gs://" + stack.OutputBucket + "/" + w.prefix(c.id)
}

// matrixRules are the built-in rules with other times, and a rule for each case
// that needs one of its own; there is none for stages that no case names.
const matrixRules = `version: 1
defaults: false
rules:
  - {name: overdue, match: {labels: {job-id: "*-overdue"}}, silent_for: 1s, do: fail, hard_limit: 24h, ending_grace: 1s}
  - {name: long, match: {labels: {job-id: "*-long"}}, silent_for: 1s, do: fail, hard_limit: 24h, running_limit: 1s}
  - {name: any, match: {labels: {job-id: "*-any"}}, silent_for: 1s, do: fail, hard_limit: 24h, output: {expect: any, settle: 1s}}
  - {name: unsettled, match: {labels: {job-id: "*-unsettled"}}, silent_for: 1s, do: fail, hard_limit: 24h, output: {expect: marker, settle: 1h}}
  - {name: patient, match: {labels: {job-id: "*-patient"}}, silent_for: 90m, do: fail, hard_limit: 24h}
  - {name: people, match: {labels: {job-id: "*-people"}}, silent_for: 1s, do: investigate}
  - {name: late, match: {labels: {job-id: "*-late"}}, silent_for: 1s, do: delay}
  - {name: once, match: {labels: {job-id: "*-once"}}, silent_for: 1s, do: resume, resume: {times: 1, not_after: 1s}, hard_limit: 6h}
  - {name: backend, match: {stage: backend}, silent_for: 1s, do: resume, resume: {times: 2, not_after: 15m}, hard_limit: 6h, output: {settle: 1s}}
  - {name: face-detection, match: {stage: face-detection}, silent_for: 1s, do: resume, resume: {times: 2, not_after: 30m}, hard_limit: 12h}
  - {name: kubernetes, match: {stage: [kubernetes, kubernetes-z]}, silent_for: 1s, do: fail, hard_limit: 24h, ending_grace: 15m, output: {settle: 1s}}
`

// settled is longer than every time of a second in the rules.
const settled = 2100 * time.Millisecond

// build brings all jobs of the cases into their state at once, since Kubernetes
// takes its time.
func (w *world) build(cases []recoveryCase) {
	w.t.Helper()
	for i := range cases {
		if c := &cases[i]; c.bucket.old != nil {
			c.bucket.old(w, c.id, "")
		}
	}
	nextSecond(w.t)
	made := w.createAll(cases)
	began := w.awaitStands(cases, "to begin", func(c *recoveryCase) func(*stand) bool { return c.cluster.begun })
	var claims []job.Observation
	for i := range cases {
		c := &cases[i]
		j := made[c.id]
		if c.cluster.known {
			j = began[c.id].job
		}
		if c.record != nil {
			c.record(w, c.id, j)
		} else {
			claims = append(claims, w.claims(c, j)...)
		}
		if c.bucket.left != nil {
			uid := ""
			if j != nil {
				uid = string(j.UID)
			}
			c.bucket.left(w, c.id, uid)
		}
	}
	w.apply(w.records, claims...)
	for i := range cases {
		if c := &cases[i]; c.cluster.act != nil {
			c.cluster.act(w, c.id)
		}
	}
	shown := w.awaitStands(cases, "to be as recovery has to find it", func(c *recoveryCase) func(*stand) bool { return c.cluster.shown })
	for i := range cases {
		c := &cases[i]
		if s := shown[c.id]; c.cluster.known && c.cluster.act != nil && c.stage == job.StageKubernetes && s.job != nil {
			w.apply(w.records, w.facts(s.job)...) // the watcher saw it to the end
		}
	}
	pass(w.t, settled)
}

func (w *world) createAll(cases []recoveryCase) map[string]*batchv1.Job {
	w.t.Helper()
	jobs := make([]*batchv1.Job, len(cases))
	var group errgroup.Group
	group.SetLimit(4)
	for i := range cases {
		c := &cases[i]
		if !c.inCluster() {
			continue
		}
		group.Go(func() (err error) {
			spec := c.cluster.spec
			spec.Namespace, spec.Name, spec.JobID, spec.OutputURI = w.Namespace, c.id, c.id, c.uri(w)
			if c.attempt > 1 && !c.cluster.earlier {
				spec.Attempt = int(c.attempt)
			}
			object := stack.Job(spec)
			if c.cluster.edit != nil {
				c.cluster.edit(object)
			}
			jobs[i], err = shared.Kube().BatchV1().Jobs(w.Namespace).Create(w.t.Context(), object, metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatalf("create the Jobs: %v", err)
	}
	made := map[string]*batchv1.Job{}
	for i, j := range jobs {
		made[cases[i].id] = j
	}
	return made
}

// awaitStands waits until each case's Job is as asked for, and returns how each
// was when it first was so.
func (w *world) awaitStands(cases []recoveryCase, what string, of func(*recoveryCase) func(*stand) bool) map[string]*stand {
	w.t.Helper()
	found := map[string]*stand{}
	w.eventually("each Job "+what, func() (bool, string) {
		now, err := w.stands(w.t.Context())
		if err != nil {
			return false, err.Error()
		}
		waiting := ""
		for i := range cases {
			c := &cases[i]
			is := of(c)
			if is == nil || found[c.id] != nil {
				continue
			}
			s := now[c.id]
			if s == nil {
				s = &stand{}
			}
			if !is(s) {
				waiting += " " + c.id
				continue
			}
			found[c.id] = s
		}
		return waiting == "", "waiting for" + waiting
	})
	return maps.Clone(found)
}

// claims are what the record of a case is made from.
func (w *world) claims(c *recoveryCase, j *batchv1.Job) []job.Observation {
	w.t.Helper()
	if c.cluster.known && c.stage == job.StageKubernetes {
		return w.facts(j)
	}
	o := w.silent(c.id, c.stage)
	if j != nil && c.stage == job.StageKubernetes && !c.cluster.unseen {
		o = w.inKubernetes(c.id, w.of(j))
	}
	o.OutputURI, o.Attempt = c.uri(w), c.ran()
	if c.claim != nil {
		c.claim(&o)
	}
	return []job.Observation{o}
}

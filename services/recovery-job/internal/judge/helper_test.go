package judge

import (
	"context"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

const place = "gs://out/j-1/"

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) time.Time { return now().Add(-d) }

// testRules act fast, and say in their names what they do.
const testRules = `version: 1
defaults: false
rules:
- name: backend
  match: {stage: backend}
  silent_for: 1h
  do: resume
  resume: {times: 2, not_after: 15m}
  hard_limit: 6h
- {name: any-output, match: {stage: kubernetes, labels: {owner: any}}, silent_for: 1h, do: fail, hard_limit: 6h, output: {expect: any}}
- {name: no-output, match: {stage: kubernetes, labels: {owner: none}}, silent_for: 1h, do: fail, hard_limit: 6h, output: {expect: none}}
- name: kubernetes
  match: {stage: kubernetes}
  silent_for: 1h
  do: fail
  hard_limit: 6h
  running_limit: 12h
  ending_grace: 10m
  tell: {user: "your job {job_id} {verdict}: {sentence}", developers: "{rule} {reason} {resumes}/{max_resumes}"}
- {name: look, match: {labels: {owner: look}}, silent_for: 1h, do: investigate, hard_limit: 6h}
- {name: again, match: {labels: {owner: again}}, silent_for: 1h, do: resume, resume: {times: 1, not_after: 5m}, hard_limit: 6h}
- {name: late, match: {labels: {owner: late}}, silent_for: 1h, do: delay, hard_limit: 6h}
- {name: closing, match: {stage: closing}, silent_for: 1h, do: fail, hard_limit: 6h}
`

func testJudge(t *testing.T) *Judge {
	t.Helper()
	set, err := rules.Parse("test", []byte(testRules))
	if err != nil {
		t.Fatal(err)
	}
	return &Judge{Home: Home{Cluster: "c1", Unclaimed: true, Reporter: "test"}, Rules: set}
}

// said is a claim that somebody made about j-1.
func said(at time.Time, edits ...func(*job.Observation)) job.Observation {
	o := job.Observation{
		JobID: "j-1", Attempt: 1, Ordinal: job.OrdinalBackend, Stage: job.StageBackend,
		Source: resiliencyv1.Source_SOURCE_SDK, Kind: job.KindStatus, State: job.StateRunning, OccurredAt: at,
	}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

// inCluster makes a claim one about the Kubernetes Job with that UID.
func inCluster(uid string, created time.Time) func(*job.Observation) {
	return func(o *job.Observation) {
		o.Ordinal, o.Stage = job.OrdinalKubernetes, job.StageKubernetes
		o.Source = resiliencyv1.Source_SOURCE_EVENT_STREAMER
		o.Kubernetes = job.Kubernetes{
			Cluster: "c1", Namespace: "ml", Name: "train", UID: uid, CreatedAt: created, End: job.StageEndsJob,
		}
	}
}

func state(s job.State, e job.Evidence) func(*job.Observation) {
	return func(o *job.Observation) { o.State, o.Evidence = s, e }
}

func generation(n int64) func(*job.Observation) {
	return func(o *job.Observation) { o.Generation = n }
}

func owner(name string) func(*job.Observation) {
	return func(o *job.Observation) { o.Owner = name }
}

func attempt(n int32) func(*job.Observation) {
	return func(o *job.Observation) { o.Attempt = n }
}

func goesOn(o *job.Observation) { o.Kubernetes.End = job.StageGoesOn }

func stageDone(o *job.Observation) { o.StageDone = true }

func writes(o *job.Observation) { o.OutputURI = place }

func record(claims ...job.Observation) *job.Record {
	r := &job.Record{}
	for i := range claims {
		r.Apply(&claims[i])
	}
	return r
}

// backend is a job that fell silent there two hours ago.
func backend(edits ...func(*job.Observation)) *job.Record {
	return record(said(ago(2*time.Hour), edits...))
}

// running is a job whose Kubernetes Job was last heard of two hours ago.
func running(edits ...func(*job.Observation)) *job.Record {
	return record(said(ago(2*time.Hour), append([]func(*job.Observation){inCluster("u-1", ago(3*time.Hour)), writes}, edits...)...))
}

// shown is an answer with Kubernetes Jobs.
func shown(jobs ...FoundJob) Cluster { return Cluster{Probe: Answered, At: now(), Jobs: jobs} }

// kubeJob is a Kubernetes Job that makes one claim.
func kubeJob(stand Stand, claim job.Observation, edits ...func(*FoundJob)) FoundJob {
	head := claim
	head.Kind, head.State, head.Evidence, head.StageDone = 0, 0, 0, false
	f := FoundJob{Head: head, Claims: []job.Observation{claim}, Stand: stand, Since: claim.OccurredAt, Message: "as seen"}
	for _, edit := range edits {
		edit(&f)
	}
	return f
}

func deleting(f *FoundJob) { f.Deleting = true }

func waits(w Wait) func(*FoundJob) { return func(f *FoundJob) { f.Wait = w } }

// ending is a Kubernetes Job whose end was decided then.
func ending(since time.Time, decided job.Observation, live int) FoundJob {
	alive := said(ago(2*time.Hour), inCluster("u-1", ago(3*time.Hour)), writes)
	return kubeJob(StandEnding, alive, func(f *FoundJob) {
		f.Since, f.Decided, f.Live = since, []job.Observation{decided}, live
	})
}

func broken(kind FaultKind) Fault { return Fault{Kind: kind, Err: "as the test asks"} }

func well() Pipeline {
	return Pipeline{Probe: Answered, Beats: []Beat{{At: ago(10 * time.Second), Every: 15 * time.Second, Receiving: true}}}
}

// world answers what a verdict asks, and counts.
type world struct {
	list, live Cluster
	output     Output
	phase      Phase
	asked      []Need
	query      OutputQuery
}

func (w *world) Cluster(_ context.Context, q ClusterQuery) Cluster {
	if q.Live {
		w.asked = append(w.asked, NeedClusterLive)
		c := w.live
		c.Live = true
		return c
	}
	w.asked = append(w.asked, NeedCluster)
	return w.list
}

func (w *world) Output(_ context.Context, q OutputQuery) Output {
	w.asked, w.query = append(w.asked, NeedOutput), q
	return w.output
}

func (w *world) Phase(context.Context, PhaseQuery) Phase {
	w.asked = append(w.asked, NeedPhase)
	return w.phase
}

// nothing is a world in which the job has left no trace.
func nothing() *world {
	return &world{list: shown(), live: shown(), output: Output{Probe: Answered, Finding: OutputEmpty}, phase: Phase{Probe: Answered}}
}

// with changes a world that is otherwise empty.
func with(edits ...func(*world)) *world {
	w := nothing()
	for _, edit := range edits {
		edit(w)
	}
	return w
}

func cluster(c Cluster) func(*world) { return func(w *world) { w.list, w.live = c, c } }

func left(f Finding) func(*world) {
	return func(w *world) {
		w.output = Output{Probe: Answered, Finding: f, At: ago(90 * time.Minute), Newest: ago(time.Minute), Objects: 3, Note: "as seen"}
	}
}

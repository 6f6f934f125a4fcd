//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/jobs"
	"github.com/envision/resiliency/test/stack"
)

const tracer = "phase-tracer"

// startTracer starts phase-tracer for tests that ask more often than people do.
func (s *system) startTracer(env ...string) *stack.Process {
	s.t.Helper()
	return s.start(stack.ServiceSpec{
		Name: tracer, ListenEnv: "HTTP_ADDR", Env: append([]string{"HTTP_RATE=1000", "HTTP_BURST=1000"}, env...),
	})
}

// tracedJob is what the API says of a job, as far as the tests look.
type tracedJob struct {
	Status struct {
		State, Evidence, Stage string
		Cause                  *struct{ Cause string }
	}
	Live  bool
	Lanes []struct {
		Attempt int
		Stage   string
		State   string
		Spans   []tracedSpan
	}
	Stop *struct {
		Over         bool
		Stage, Phase string
		Cause        *struct{ Cause string }
	}
	Capsules []struct {
		Pod, Node string
		Logs      []struct{ Container, Tail string }
	}
	Facts []struct {
		What      string
		Witnesses []struct{ Source string }
	}
	Updates     []tracedUpdate
	Warnings    []struct{ Code, Text string }
	Explanation struct{ Known, Now, Next, Owner string }
}

type tracedUpdate struct{ Kind, Text string }

type tracedSpan struct {
	Name, State string
	Start       time.Time
}

// names are the phases of a stage, each once.
func (j *tracedJob) names(stage string) []string {
	var out []string
	for _, l := range j.Lanes {
		for _, span := range l.Spans {
			if l.Stage == stage && !slices.Contains(out, span.Name) {
				out = append(out, span.Name)
			}
		}
	}
	return out
}

// load gets an address.
func (s *system) load(address string) (int, []byte) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Close = true // an idle connection would outlive the test
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("read %s: %v", address, err)
	}
	return response.StatusCode, body
}

// traced asks for a job; nil when nothing is on record.
func (s *system) traced(tracer *stack.Process, id string) *tracedJob {
	s.t.Helper()
	status, body := s.load(tracer.URL() + "/api/jobs/" + id)
	if status == http.StatusNotFound {
		return nil
	}
	j := new(tracedJob)
	if err := json.Unmarshal(body, j); status != http.StatusOK || err != nil {
		s.t.Fatalf("job %s: status %d, %v:\n%s", id, status, err, body)
	}
	return j
}

// pipeline takes a job through backend and face detection by the SDK and makes its
// Kubernetes Job, in whose pod a phase is begun that nobody ends.
func (s *system) pipeline(id string, spec stack.JobSpec) *batchv1.Job {
	s.t.Helper()
	ctx := s.t.Context()
	c := s.client(jobs.Config{Output: io.Discard, Log: zerolog.Nop()}, shared.PubSub.Addr())
	defer s.closeClient(c)
	j, err := c.Create(ctx, jobs.Spec{ID: id, CorrelationID: "upload-" + id, Owner: "ana@example.com", Tenant: "studio"})
	if err != nil {
		s.t.Fatal(err)
	}
	j.Enter(ctx, jobs.Backend())
	for _, name := range []string{"receive-upload", "split-frames"} {
		j.Phase(ctx, name).End()
	}
	j.Enter(ctx, jobs.FaceDetection())
	j.Phase(ctx, "load-model").End()
	detect := j.Phase(ctx, "detect-faces")
	detect.Progress(2400, 2400, "frames")
	detect.End()
	spec.Namespace, spec.Name = s.Namespace, id
	object := stack.Job(spec)
	object.Labels, object.Annotations = j.Labels(), j.Annotations()
	object.Spec.Template.Labels = j.Labels()
	made, err := shared.Kube().BatchV1().Jobs(s.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	stage := jobs.OnKubernetes(jobs.KubernetesJob{
		Cluster: stack.ClusterName, Namespace: made.Namespace, Name: made.Name, UID: string(made.UID),
	})
	j.Enter(ctx, stage)
	inPod, err := c.Join(ctx, jobs.Ref{JobID: id, CorrelationID: "upload-" + id, InPod: true, Stage: stage})
	if err != nil {
		s.t.Fatal(err)
	}
	inPod.Phase(ctx, "render").Progress(1811, 2400, "frames")
	return made
}

// tracedSoon is within what the page of a job says why it failed.
const tracedSoon = 5 * time.Second

// One look says where and why: a job that passed backend and face detection and
// ran out of memory at Kubernetes shows every phase in order, the cause, and what
// its pod last said, within moments; and the same when pods and Job are long gone.
// Three are tried, since this machine may be busy with other tests just then.
func TestTimeline(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "timeline")
	s.startUpdater()
	s.start(stack.ServiceSpec{Name: streamer})
	s.startSecondPath(usualFaults())
	server := s.startTracer()
	quickest := time.Hour
	for i := range 3 {
		quickest = min(quickest, s.failsTraced(server, fmt.Sprintf("oom-%d", i)))
	}
	if quickest > tracedSoon {
		t.Errorf("the quickest job was explained %s after it failed, want at most %s", quickest, tracedSoon)
	}
	s.forgotten(server, "oom-0")
}

// failsTraced returns how long after the failure of a job its page explained it.
func (s *system) failsTraced(server *stack.Process, id string) time.Duration {
	s.t.Helper()
	s.pipeline(id, stack.JobSpec{Outcome: stack.OutcomeOOM, After: 2 * time.Second})
	var j *tracedJob
	s.eventually("job "+id+" to be explained", func() (bool, string) {
		j = s.traced(server, id)
		if j == nil {
			return false, "nothing on record"
		}
		return j.Status.State == "FAILED" && j.Status.Cause != nil && j.Status.Cause.Cause == "OOM" && len(j.Capsules) > 0,
			fmt.Sprintf("%+v, %d capsules", j.Status, len(j.Capsules))
	})
	seen := time.Now()
	made, err := shared.Kube().BatchV1().Jobs(s.Namespace).Get(s.t.Context(), id, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	var failed time.Time
	for _, c := range made.Status.Conditions {
		if c.Type == batchv1.JobFailed {
			failed = c.LastTransitionTime.Time
		}
	}
	took := seen.Sub(failed)
	s.t.Logf("job %s is explained %s after its Job failed (Kubernetes gives whole seconds)", id, took.Round(time.Millisecond))
	s.checkTraced(j, id)
	return took
}

func (s *system) checkTraced(j *tracedJob, id string) {
	s.t.Helper()
	var stages []string
	for _, l := range j.Lanes {
		stages = append(stages, l.Stage)
		if !slices.IsSortedFunc(l.Spans, func(a, b tracedSpan) int { return a.Start.Compare(b.Start) }) {
			s.t.Errorf("the phases of stage %s are not in the order of time: %+v", l.Stage, l.Spans)
		}
	}
	if want := []string{"backend", "face-detection", "kubernetes"}; !slices.Equal(stages, want) {
		s.t.Errorf("stages %v, want %v", stages, want)
	}
	for stage, want := range map[string][]string{
		"backend": {"receive-upload", "split-frames"}, "face-detection": {"load-model", "detect-faces"}, "kubernetes": {"render"},
	} {
		got := slices.DeleteFunc(j.names(stage), func(name string) bool { return !slices.Contains(want, name) })
		if !slices.Equal(got, want) {
			s.t.Errorf("phases of stage %s: %v, want %v in this order", stage, j.names(stage), want)
		}
	}
	if j.Live || j.Stop == nil || !j.Stop.Over || j.Stop.Stage != "kubernetes" || j.Stop.Cause == nil || j.Stop.Cause.Cause != "OOM" {
		s.t.Errorf("it stopped at %+v", j.Stop)
	}
	if c := j.Capsules[0]; !strings.HasPrefix(c.Pod, id+"-") || len(c.Logs) != 1 || !strings.HasSuffix(c.Logs[0].Tail, "allocating 1024 MiB") {
		s.t.Errorf("capsule %+v", c)
	}
	if !strings.Contains(j.Explanation.Known, "out of memory") || j.Explanation.Owner != "user" {
		s.t.Errorf("explanation %+v", j.Explanation)
	}
}

// forgotten removes a job from its cluster: what is on record stays what it was.
func (s *system) forgotten(server *stack.Process, id string) {
	s.t.Helper()
	var before *tracedJob
	s.eventually("both witnesses and the user's update", func() (bool, string) {
		before = s.traced(server, id)
		heard := map[string]bool{}
		for _, f := range before.Facts {
			for _, w := range f.Witnesses {
				heard[w.Source] = true
			}
		}
		failed := slices.ContainsFunc(before.Updates, func(u tracedUpdate) bool { return u.Kind == "failed" })
		return failed && heard["EVENT_STREAMER"] && heard["LOG_WITNESS"], fmt.Sprintf("%v, updates %+v", heard, before.Updates)
	})
	s.remove(id)
	s.eventually("its pods to be gone", func() (bool, string) {
		pods, err := shared.Kube().CoreV1().Pods(s.Namespace).List(s.t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + id})
		if err != nil {
			return false, err.Error()
		}
		_, err = shared.Kube().BatchV1().Jobs(s.Namespace).Get(s.t.Context(), id, metav1.GetOptions{})
		return len(pods.Items) == 0 && err != nil, fmt.Sprint(len(pods.Items))
	})
	after := s.traced(server, id)
	s.checkTraced(after, id)
	for name, pair := range map[string][2]any{
		"status": {before.Status, after.Status}, "stop": {before.Stop, after.Stop}, "capsules": {before.Capsules, after.Capsules},
		"explanation": {before.Explanation, after.Explanation},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			s.t.Errorf("%s with and without the Job in its cluster:\n%s", name, diff)
		}
	}
	status, page := s.load(server.URL() + "/jobs/" + id)
	for _, want := range []string{"allocating 1024 MiB", "LOG_WITNESS", "EVENT_STREAMER", "receive-upload", "Where it stopped"} {
		if status != http.StatusOK || !strings.Contains(string(page), want) {
			s.t.Errorf("the page, status %d, does not say %q", status, want)
		}
	}
}

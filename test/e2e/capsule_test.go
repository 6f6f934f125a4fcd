//go:build integration

package e2e

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// capsules collects the capsules of a project, as phase-tracer's subscription
// gets them, and when each came first.
type capsules struct {
	mu   sync.Mutex
	byID map[string]*resiliencyv1.PhaseEvent
	came map[string]time.Time
}

// collectCapsules receives until the test ends.
func (s *system) collectCapsules() *capsules {
	s.t.Helper()
	c := &capsules{byID: map[string]*resiliencyv1.PhaseEvent{}, came: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(topology.SubscriptionJobPhasesPhaseTracer).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			c.add(m.Data)
			m.Ack()
		})
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive phases: %v", err)
		}
	})
	return c
}

func (c *capsules) add(data []byte) {
	p := new(resiliencyv1.PhaseEvent)
	if proto.Unmarshal(data, p) != nil || p.GetFailureCaptured() == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[p.GetEventId()] = p
	if _, repeated := c.came[p.GetEventId()]; !repeated {
		c.came[p.GetEventId()] = time.Now()
	}
}

// of returns the capsules of a job, each id once.
func (c *capsules) of(jobID string) (all []*resiliencyv1.PhaseEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.byID {
		if p.GetJobId() == jobID {
			all = append(all, p)
		}
	}
	return all
}

func (c *capsules) cameAt(id string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came[id]
}

func (c *capsules) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID)
}

// expect waits until a job has so many capsules.
func (c *capsules) expect(s *system, jobID string, n int) []*resiliencyv1.PhaseEvent {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d capsules of job %s", n, jobID), func() (bool, string) {
		return len(c.of(jobID)) >= n, fmt.Sprint(len(c.of(jobID)))
	})
	return c.of(jobID)
}

// capsuleSoon is within what a capsule comes after the failure that it is of.
const capsuleSoon = 5 * time.Second

// Of a job that ran out of memory, what its pod said last comes within moments.
// Three are tried, since this machine may be busy with other tests just then.
func TestCapsule_ofAJobThatRanOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "capsule", updater, streamer)
	s.start(stack.ServiceSpec{Name: stack.WitnessName, Binary: binary(streamer), Env: []string{"PUBLISH=log"}})
	got := s.collectCapsules()
	quickest := time.Hour
	for i := range 3 {
		name := fmt.Sprintf("oom-%d", i)
		s.create(stack.JobSpec{Name: name, Outcome: stack.OutcomeOOM, CorrelationID: "c-" + name})
		p := got.expect(s, name, 1)[0]
		took := got.cameAt(p.GetEventId()).Sub(p.GetOccurredAt().AsTime())
		t.Logf("the capsule came %s after the failure", took.Round(time.Millisecond))
		quickest = min(quickest, took)
		s.checkCapsule(p, name)
		s.awaitState(name, drive.Failed)
	}
	if quickest > capsuleSoon {
		t.Errorf("the quickest capsule came %s after the failure, want at most %s", quickest, capsuleSoon)
	}
	if _, found := s.read(stack.WitnessName, "event_streamer_capsules_total", nil); found {
		t.Error("the witness takes capsules")
	}
	// The whole run has said nothing twice.
	if n := got.count(); n != 3 {
		t.Errorf("%d capsules, want 3", n)
	}
}

func (s *system) checkCapsule(p *resiliencyv1.PhaseEvent, name string) {
	s.t.Helper()
	c := p.GetFailureCaptured()
	if c.GetIncomplete() != "" || !strings.HasPrefix(c.GetPod(), name+"-") || !strings.HasPrefix(c.GetNode(), "node-") {
		s.t.Errorf("pod %s on %s, missing: %s", c.GetPod(), c.GetNode(), c.GetIncomplete())
	}
	if p.GetCorrelationId() != "c-"+name || p.GetDetails()["cause"] != "OOM" || p.GetSource() != resiliencyv1.Source_SOURCE_EVENT_STREAMER {
		s.t.Errorf("phase %v", p)
	}
	if !strings.Contains(c.GetPodStatusJson(), `"reason":"OOMKilled"`) {
		s.t.Errorf("status %s", c.GetPodStatusJson())
	}
	if len(c.GetLogs()) != 1 || !strings.HasSuffix(c.GetLogs()[0].GetTail(), "allocating 1024 MiB") {
		s.t.Fatalf("logs %v", c.GetLogs())
	}
	tail := c.GetLogs()[0].GetTail()
	if strings.Contains(tail, stack.LogSecret) || !strings.Contains(tail, "https://REDACTED@models.example.invalid/") {
		s.t.Errorf("the log shows its password:\n%s", tail)
	}
}

// A container that was restarted has two logs.
func TestCapsule_ofARestartedContainer(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "capsule-re", streamer)
	got := s.collectCapsules()
	s.create(stack.JobSpec{Name: "restarts", Outcome: stack.OutcomeHang})
	var pod corev1.Pod
	s.eventually("pod to run", func() (bool, string) {
		pods, err := shared.Kube().CoreV1().Pods(s.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) == 0 {
			return false, fmt.Sprint(err)
		}
		pod = pods.Items[0]
		return pod.Status.Phase == corev1.PodRunning, string(pod.Status.Phase)
	})
	status := &pod.Status.ContainerStatuses[0]
	status.RestartCount, status.LastTerminationState = 1, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 3, Reason: "Error", StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
	}}
	if _, err := shared.Kube().CoreV1().Pods(s.Namespace).UpdateStatus(t.Context(), &pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c := got.expect(s, "restarts", 1)[0].GetFailureCaptured()
	logs := map[bool]string{}
	for _, l := range c.GetLogs() {
		logs[l.GetPrevious()] = l.GetTail()
	}
	if logs[true] != strings.TrimSpace(stack.PreviousLog) || !strings.Contains(logs[false], "batch 18") || c.GetIncomplete() != "" {
		t.Errorf("log %q, before %q, missing: %s", logs[false], logs[true], c.GetIncomplete())
	}
}

// What an event has no room for is in the bucket.
func TestCapsule_ofALongLog(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "capsule-long", streamer)
	got := s.collectCapsules()
	o := stack.Job(stack.JobSpec{Namespace: s.Namespace, Name: "talks", JobID: "talks", Outcome: stack.OutcomeExit, ExitCode: 3})
	o.Spec.Template.Spec.Containers[0].Name = stack.ChattyContainer
	if _, err := shared.Kube().BatchV1().Jobs(s.Namespace).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c := got.expect(s, "talks", 1)[0].GetFailureCaptured()
	object, found := strings.CutPrefix(c.GetUri(), "gs://"+stack.CapsuleBucket+"/")
	if !found || !strings.HasPrefix(object, "capsules/talks/1/") || c.GetIncomplete() != "" {
		t.Fatalf("uri %q, missing: %s", c.GetUri(), c.GetIncomplete())
	}
	whole := s.wholeCapsule(object)
	end := fmt.Sprintf("step %05d of %[1]d: ", stack.ChattyLines)
	for name, log := range map[string][]*resiliencyv1.ContainerLog{"event": c.GetLogs(), "bucket": whole.GetLogs()} {
		if len(log) != 1 || !log[0].GetTruncated() || !strings.Contains(log[0].GetTail(), "\n"+end) {
			t.Errorf("the %s has %d logs, want one that ends with %q", name, len(log), end)
		}
	}
	short, long := c.GetLogs()[0].GetTail(), whole.GetLogs()[0].GetTail()
	if lines := strings.Count(long, "\n") + 1; len(short) > 24<<10 || lines != 1000 || !strings.HasSuffix(long, short) {
		t.Errorf("%d bytes in the event, %d lines in the bucket", len(short), lines)
	}
}

// wholeCapsule reads a capsule from the bucket.
func (s *system) wholeCapsule(object string) *resiliencyv1.FailureCaptured {
	s.t.Helper()
	client, err := shared.GCS.Client(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	r, err := client.Bucket(stack.CapsuleBucket).Object(object).NewReader(s.t.Context())
	if err != nil {
		s.t.Fatalf("read %s: %v", object, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatalf("read %s: %v", object, err)
	}
	whole := new(resiliencyv1.FailureCaptured)
	if err := protojson.Unmarshal(data, whole); err != nil {
		s.t.Fatalf("decode %s: %v", object, err)
	}
	return whole
}

// A process that takes over gives the same failure the same id.
func TestCapsule_survivesACrash(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "capsule-crash", streamer)
	got := s.collectCapsules()
	s.create(stack.JobSpec{Name: "fails", Outcome: stack.OutcomeExit, ExitCode: 3})
	before := got.expect(s, "fails", 1)[0]
	if err := s.services[streamer].Kill(); err != nil {
		t.Fatal(err)
	}
	s.create(stack.JobSpec{Name: "unseen", Outcome: stack.OutcomeExit})
	s.eventually("job to fail unseen", func() (bool, string) {
		n := s.failedJobs()
		return n == 2, fmt.Sprint(n)
	})
	if err := s.services[streamer].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	got.expect(s, "unseen", 1)
	s.eventually("both to be taken again", func() (bool, string) {
		n := s.counted(streamer, "event_streamer_capsules_total", map[string]string{"result": "complete"})
		return n >= 2, fmt.Sprint(n)
	})
	if all := got.of("fails"); len(all) != 1 || all[0].GetEventId() != before.GetEventId() {
		t.Errorf("%d capsules of one failure, want 1", len(all))
	}
}

// failedJobs is how many Jobs of the namespace have failed.
func (s *system) failedJobs() (n int) {
	s.t.Helper()
	jobs, err := shared.Kube().BatchV1().Jobs(s.Namespace).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range jobs.Items {
		for _, c := range jobs.Items[i].Status.Conditions {
			if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}

// While no node answers for logs, 200 jobs fail: their statuses come on time all
// the same, and memory stays bounded.
func TestCapsule_hangingLogsDelayNoStatus(t *testing.T) {
	t.Parallel()
	const jobs = 200
	api, err := shared.StartKubeProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Close(); err != nil {
			t.Error(err)
		}
	})
	api.Inject(stack.HTTPFault{Contains: "/log?", Delay: time.Hour})
	s := newSystem(t, "capsule-hang", updater)
	s.start(stack.ServiceSpec{Name: streamer, Env: []string{"KUBECONFIG=" + api.Kubeconfig()}})
	got := s.collectCapsules()
	memory := s.metric(streamer, "process_resident_memory_bytes", nil)
	d := s.drive(drive.Plan{Prefix: "h", Scenarios: []drive.Scenario{
		{Name: "oom", Jobs: jobs, Expected: drive.Failed, Cause: "OOM", Spec: stack.JobSpec{Outcome: stack.OutcomeOOM}},
	}})
	if err := d.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.eventually("all jobs to fail", func() (bool, string) {
		n := s.failedJobs()
		return n == jobs, fmt.Sprint(n)
	})
	began := time.Now()
	s.settle(d)
	t.Logf("%d statuses were there %s after the last job had failed, with %d capsules", jobs, time.Since(began).Round(10*time.Millisecond), got.count())
	// A fact is held for 5 s at most, for the end that it explains.
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the statuses came %s late", took)
	}
	if grown := s.metric(streamer, "process_resident_memory_bytes", nil) - memory; grown > 128<<20 {
		t.Errorf("memory has grown by %.0f MiB", grown/(1<<20))
	}
	if n := s.metric(streamer, "event_streamer_capsules_total", map[string]string{"result": "complete"}); n != 0 {
		t.Errorf("%v capsules are complete: the logs did not hang", n)
	}
	// They come in the end, without the log, and say so.
	s.eventually("capsules of all jobs", func() (bool, string) { return got.count() >= jobs, fmt.Sprint(got.count()) })
	for _, p := range got.of(d.Names("oom")[0]) {
		if c := p.GetFailureCaptured(); !strings.Contains(c.GetIncomplete(), "log of container work: ") || c.GetPodStatusJson() == "" {
			t.Errorf("capsule %v", c)
		}
	}
}

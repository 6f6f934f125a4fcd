//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/rs/zerolog"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/envision/resiliency/pkg/jobs"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
)

const sdkTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// A job that the SDK creates passes backend and face detection, each a process of
// its own, and runs as a real Kubernetes Job, from one of whose containers Pub/Sub
// cannot be reached: what that one prints comes by the log. The record is right,
// and correlation id and trace go all the way.
func TestSDK(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "sdk")
	s.startUpdater()
	s.start(stack.ServiceSpec{Name: streamer})
	told := s.collectTold()
	const id = "sdk-1"
	ref := s.backend(id)
	s.awaitState(id, "RUNNING")
	made := s.faceDetection(ref)
	s.container(id, made)

	doc := s.awaitState(id, "SUCCEEDED")
	described, _ := doc["kubernetes"].(map[string]any)
	if doc["stage"] != "kubernetes" || doc["attempt"] != int64(1) || doc["correlation_id"] != "req-sdk" || doc["owner"] != "ann" ||
		described["uid"] != string(made.UID) || described["name"] != id || described["namespace"] != s.Namespace {
		t.Errorf("record %v", doc)
	}
	for _, want := range []string{
		"backend job.created", "backend stage start", "backend validate end", "face-detection detect progress",
		"face-detection detect end", "kubernetes job.handed-over", "kubernetes load-model start", "kubernetes load-model end",
		"kubernetes job.pod-failed",
	} {
		told.expect(s, want, sdkTrace, want != "kubernetes job.pod-failed" && want != "kubernetes load-model start" && want != "kubernetes load-model end")
	}
	told.expect(s, "update RUNNING", sdkTrace, true)
}

// The example that developers copy is taken by the API server, and sets what the
// SDK reads.
func TestSDKExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "examples", "sdk-job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	object := new(batchv1.Job)
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Kube().BatchV1().Jobs("default").Create(t.Context(), object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Error(err)
	}
	var set []string
	for _, variable := range object.Spec.Template.Spec.Containers[0].Env {
		set = append(set, variable.Name)
	}
	slices.Sort(set)
	read := []string{
		jobs.EnvProject, jobs.EnvCluster, jobs.EnvJobID, jobs.EnvAttempt, jobs.EnvCorrelationID, jobs.EnvTraceParent,
		jobs.EnvNamespace, jobs.EnvPod, jobs.EnvKubernetesJob, jobs.EnvKubernetesUID,
	}
	slices.Sort(read)
	if !slices.Equal(set, read) {
		t.Errorf("it sets %q, the SDK reads %q", set, read)
	}
}

// client is the SDK in a process of the product.
func (s *system) client(cfg jobs.Config, addr string) *jobs.Client {
	s.t.Helper()
	cfg.ProjectID, cfg.Log = s.ID, zerolog.New(zerolog.NewTestWriter(s.t))
	cfg.Options = []option.ClientOption{
		option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
	c, err := jobs.New(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *system) closeClient(c *jobs.Client) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil || c.Dropped() != 0 {
		s.t.Errorf("%d events dropped, error %v", c.Dropped(), err)
	}
}

// backend takes the request and passes the job on, as JSON in a message of its own.
func (s *system) backend(id string) []byte {
	s.t.Helper()
	c := s.client(jobs.Config{Output: s.t.Output()}, shared.PubSub.Addr())
	defer s.closeClient(c)
	ctx := messaging.WithTrace(s.t.Context(), messaging.Trace(map[string]string{messaging.AttributeTraceParent: sdkTrace}))
	j, err := c.Create(ctx, jobs.Spec{ID: id, CorrelationID: "req-sdk", Owner: "ann"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventually("record of the created job", func() (bool, string) {
		doc := s.document(id)
		return doc["state"] == "PENDING" && doc["stage"] == "backend" && doc["correlation_id"] == "req-sdk", ""
	})
	j.Enter(ctx, jobs.Backend())
	j.Phase(ctx, "validate").End()
	j.Done(ctx)
	ref, err := json.Marshal(j.Ref())
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// faceDetection does its part and makes the Kubernetes Job.
func (s *system) faceDetection(passed []byte) *batchv1.Job {
	s.t.Helper()
	c := s.client(jobs.Config{Output: s.t.Output()}, shared.PubSub.Addr())
	defer s.closeClient(c)
	ctx := s.t.Context()
	var ref jobs.Ref
	if err := json.Unmarshal(passed, &ref); err != nil {
		s.t.Fatal(err)
	}
	j, err := c.Join(ctx, ref)
	if err != nil {
		s.t.Fatal(err)
	}
	j.Enter(ctx, jobs.FaceDetection())
	detect := j.Phase(ctx, "detect")
	detect.Progress(10, 10, "frames")
	detect.End()
	object := stack.Job(stack.JobSpec{Namespace: s.Namespace, Name: ref.JobID, After: 3 * time.Second})
	object.Labels, object.Annotations = j.Labels(), j.Annotations()
	object.Spec.Template.Labels = j.Labels()
	made, err := shared.Kube().BatchV1().Jobs(s.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	j.Enter(ctx, jobs.OnKubernetes(jobs.KubernetesJob{
		Cluster: stack.ClusterName, Namespace: made.Namespace, Name: made.Name, UID: string(made.UID),
	}))
	return made
}

// container is product code in the Job's pod that reaches nothing but its stdout.
func (s *system) container(id string, made *batchv1.Job) {
	s.t.Helper()
	sink, err := s.StartLogSink(s.t.Context(), stack.SinkSpec{
		FilterFile: filepath.Join(root, logsink.FilterFile), Witness: witnessContainer(),
		Faults: usualFaults(), Log: zerolog.New(zerolog.NewTestWriter(s.t)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var pod corev1.Pod
	s.eventually("the Job's pod", func() (bool, string) {
		pods, err := shared.Kube().CoreV1().Pods(s.Namespace).List(s.t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + id})
		if err != nil || len(pods.Items) == 0 {
			return false, "none"
		}
		pod = pods.Items[0]
		return true, ""
	})
	stdout, err := os.Create(filepath.Join(s.t.TempDir(), "stdout"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = stdout.Close() }()
	if err := sink.AddFile(logsink.File{Path: stdout.Name(), Stream: logsink.Stdout, Container: logsink.Container{
		Namespace: pod.Namespace, Pod: pod.Name, Name: pod.Spec.Containers[0].Name, PodLabels: pod.Labels,
	}}); err != nil {
		s.t.Fatal(err)
	}
	const nobody = "127.0.0.1:1"
	c := s.client(jobs.Config{Output: stdout, Reporter: pod.Name, Instance: string(pod.UID), Retry: time.Second}, nobody)
	j, err := c.Join(s.t.Context(), jobs.Ref{JobID: id, CorrelationID: "req-sdk", InPod: true, Stage: jobs.OnKubernetes(jobs.KubernetesJob{
		Cluster: stack.ClusterName, Namespace: made.Namespace, Name: made.Name, UID: string(made.UID),
	})})
	if err != nil {
		s.t.Fatal(err)
	}
	j.Phase(s.t.Context(), "load-model").End()
	j.Fail(s.t.Context(), jobs.Cause{Message: "this try failed"}) // a step: Kubernetes says how the Job ends
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil || c.Dropped() != 3 {
		s.t.Errorf("%d of 3 events are lost to Pub/Sub, error %v", c.Dropped(), err)
	}
}

// sdkTold is what went out about jobs, by words, with the trace that it carried.
type sdkTold struct {
	mu  sync.Mutex
	all map[string]string
}

// collectTold receives phases and updates until the test ends.
func (s *system) collectTold() *sdkTold {
	s.t.Helper()
	c := &sdkTold{all: map[string]string{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var group sync.WaitGroup
	for _, subscription := range []string{topology.SubscriptionJobPhasesPhaseTracer, topology.SubscriptionJobUpdatesPhaseTracer} {
		group.Go(func() {
			err := s.pubsub.Subscriber(subscription).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
				c.take(m)
				m.Ack()
			})
			if err != nil {
				s.t.Errorf("receive from %s: %v", subscription, err)
			}
		})
	}
	s.t.Cleanup(func() { cancel(); group.Wait() })
	return c
}

func (c *sdkTold) take(m *pubsub.Message) {
	var word string
	if m.Attributes[messaging.AttributeType] == "envision.resiliency.v1.JobUpdate" {
		u := new(resiliencyv1.JobUpdate)
		if proto.Unmarshal(m.Data, u) != nil {
			return
		}
		word = "update " + u.GetState().String()[len("JOB_STATE_"):]
	} else {
		p := new(resiliencyv1.PhaseEvent)
		if proto.Unmarshal(m.Data, p) != nil {
			return
		}
		word = p.GetStage().GetName() + " " + p.GetName()
		switch {
		case p.GetStarted() != nil:
			word += " start"
		case p.GetProgressed() != nil:
			word += " progress"
		case p.GetEnded() != nil:
			word += " end"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Whatever comes first: a job runs in stages, and is said to be running for each.
	if c.all[word] == "" {
		c.all[word] = m.Attributes[messaging.AttributeTraceParent] + " " + m.Attributes[messaging.AttributeCorrelationID]
	}
}

// expect waits for a word, with the correlation id of the job and with its trace
// where that can be known: a line of the log carries none.
func (c *sdkTold) expect(s *system, word, parent string, traced bool) {
	s.t.Helper()
	want := " req-sdk"
	if traced {
		want = parent + want
	}
	s.eventually(word, func() (bool, string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.all[word] == want, c.all[word]
	})
}

package jobs

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
)

func TestCreate_RefusesWhatNoReaderTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	for name, spec := range map[string]Spec{
		"no id":                  {},
		"a path":                 {ID: "a/b"},
		"too long an id":         {ID: strings.Repeat("x", 64)},
		"invalid UTF-8":          {ID: "j\xff"},
		"attempt 101":            {ID: "j", Attempt: 101},
		"attempt -1":             {ID: "j", Attempt: -1},
		"a long correlation id":  {ID: "j", CorrelationID: long},
		"a broken correlation":   {ID: "j", CorrelationID: "\xff"},
		"a line in the owner":    {ID: "j", Owner: "ann\nadmin"},
		"a long tenant":          {ID: "j", Tenant: long},
		"output that is no URI":  {ID: "j", OutputURI: "::"},
		"output that is no dir":  {ID: "j", OutputURI: "gs://bucket/file"},
		"output of another kind": {ID: "j", OutputURI: "https://example.com/"},
	} {
		for _, c := range []*Client{newBench(t).Client, {cfg: Config{}.withDefaults()}, nil} {
			j, err := c.Create(t.Context(), spec)
			if err == nil || j != nil {
				t.Errorf("%s: job %v, error %v", name, j, err)
			}
			j.Enter(t.Context(), Backend()) // nil does nothing
		}
	}
}

func TestCreate_SaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := newBench(t).Create(t.Context(), Spec{ID: "a b", Attempt: 200, OutputURI: "x"})
	for _, want := range []string{`create job "a b"`, "a job id is", "attempt 200", "gs://bucket/prefix/"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// Without a project the SDK checks what it is given and does nothing else; nil does
// not even that.
func TestClient_NotConfigured(t *testing.T) {
	t.Parallel()
	out := &buffer{}
	unset, err := New(t.Context(), Config{Output: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Client{unset, nil} {
		j, err := c.Create(t.Context(), Spec{ID: "j", CorrelationID: "req-1"})
		if err != nil {
			t.Fatal(err)
		}
		j.Enter(t.Context(), Backend())
		p := j.Phase(t.Context(), "p")
		p.Progress(1, 2, "n")
		p.End()
		j.Fail(t.Context(), Cause{})
		if j.Ref().CorrelationID != "req-1" || c.Dropped() != 0 {
			t.Errorf("ref %+v", j.Ref())
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if out.String() != "" {
		t.Errorf("printed %s", out.String())
	}
}

func TestNil_DoesNothing(t *testing.T) {
	t.Parallel()
	var j *Job
	j.Enter(t.Context(), Backend())
	j.Done(t.Context())
	j.Succeed(t.Context())
	j.Fail(t.Context(), Cause{})
	j.Cancel(t.Context(), "")
	p := j.Phase(t.Context(), "p")
	p.Progress(1, 2, "")
	p.Fail(Cause{})
	p.End()
	if j.Ref() != (Ref{}) || j.Labels() != nil || j.Annotations() != nil {
		t.Error("a nil job says something")
	}
}

// connected is a client on a fake Pub/Sub.
func connected(t *testing.T, b *messagingtest.Broker, cfg Config) *Client {
	t.Helper()
	cfg = cfg.withDefaults()
	c := newClient(cfg)
	publishing := messaging.PublisherConfig{Timeout: cfg.Retry}
	c.connect(messaging.NewPublisher(b.Client, publishing, nil, cfg.Log), background{messaging.NewPublisher(b.Client, publishing, nil, cfg.Log)})
	return c
}

func TestCreate_IsConfirmedByPubSub(t *testing.T) {
	t.Parallel()
	b := messagingtest.New(t)
	c := connected(t, b, Config{Output: &buffer{}, Retry: 5 * time.Second})
	j, err := c.Create(t.Context(), Spec{ID: "j", CorrelationID: "req-1"})
	if err != nil {
		t.Fatal(err)
	}
	sent := b.Server.Messages()
	if len(sent) == 0 || sent[0].Attributes["job_id"] != "j" || !strings.HasSuffix(sent[0].Topic, topology.TopicJobEvents) {
		t.Errorf("Create returned before Pub/Sub had the claim: %v", sent)
	}
	j.Phase(t.Context(), "p").End()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil || c.Dropped() != 0 {
		t.Errorf("%d dropped, error %v", c.Dropped(), err)
	}
	if n := len(b.Server.Messages()); n != 4 {
		t.Errorf("%d messages after Close", n)
	}
}

func TestCreate_FailsWhilePubSubIsAway(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := messagingtest.New(t, fault.Option())
	out := &buffer{}
	c := connected(t, b, Config{Output: out, Retry: 3 * time.Second})
	fault.Set(func(any) error { return status.Error(codes.Unavailable, "away") })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if j, err := c.Create(ctx, Spec{ID: "j"}); err == nil || j != nil || !strings.HasPrefix(err.Error(), "create job j: ") {
		t.Errorf("job %v, error %v", j, err)
	}
	if out.String() != "" {
		t.Errorf("a job that nobody was promised is in the log: %s", out.String())
	}
	joined, err := c.Join(t.Context(), Ref{JobID: "j"})
	if err != nil {
		t.Fatal(err)
	}
	joined.Phase(t.Context(), "p")
	eventually(t, "the line, in spite of the outage", func() bool { return strings.Contains(out.String(), "phase_event") })
	fault.Clear()
	if _, err := c.Create(t.Context(), Spec{ID: "j"}); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	end, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := c.Close(end); err != nil || c.Dropped() != 0 {
		t.Errorf("%d dropped, error %v", c.Dropped(), err)
	}
}

// With Pub/Sub away Close keeps to its time, and says what is left.
func TestClose_WhilePubSubIsAway(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := messagingtest.New(t, fault.Option())
	fault.Set(func(any) error { return status.Error(codes.Unavailable, "away") })
	c := connected(t, b, Config{Output: io.Discard, Buffer: 4, Retry: time.Second})
	j, err := c.Join(t.Context(), Ref{JobID: "j"})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		j.Phase(t.Context(), "p")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "events are left") {
		t.Errorf("closed with %v", err)
	}
	eventually(t, "every event to be counted", func() bool { return c.Dropped() == 20 })
	c.sender.flying.Wait()
}

// The names here are written down again, so that product code need not carry the
// types of Kubernetes.
func TestLabels_AreThoseOfTheWatchers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		labelJobID: kube.LabelJobID, annotationAttempt: kube.AnnotationAttempt, annotationOwner: kube.AnnotationOwner,
		annotationCorrelationID: kube.AnnotationCorrelationID, annotationOutputURI: kube.AnnotationOutputURI,
	} {
		if got != want {
			t.Errorf("%s, the watchers read %s", got, want)
		}
	}
	b := newBench(t)
	j := b.mustCreate(t, Spec{ID: "j", Attempt: 3, CorrelationID: "req-1", Owner: "ann", OutputURI: "gs://b/p/"})
	annotations := j.Annotations()
	if j.Labels()[kube.LabelJobID] != "j" || annotations[kube.AnnotationAttempt] != "3" || annotations[kube.AnnotationOwner] != "ann" ||
		annotations[kube.AnnotationCorrelationID] != "req-1" || annotations[kube.AnnotationOutputURI] != "gs://b/p/" || len(annotations) != 4 {
		t.Errorf("labels %v, annotations %v", j.Labels(), annotations)
	}
}

func TestJoinFromEnvironment(t *testing.T) {
	for key, value := range map[string]string{
		EnvJobID: "j-17", EnvAttempt: "2", EnvCorrelationID: "req-1", EnvCluster: "batch-1", EnvNamespace: "etl",
		EnvKubernetesJob: "j-17", EnvKubernetesUID: "uid-1",
		EnvTraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	} {
		t.Setenv(key, value)
	}
	b := newBench(t)
	j, err := b.JoinFromEnvironment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !j.inPod || j.stage != OnKubernetes(kubernetesJob) || j.spec.ID != "j-17" || j.spec.Attempt != 2 || !j.span.IsValid() {
		t.Errorf("joined %+v in %+v", j.spec, j.stage)
	}
	j.Enter(t.Context(), j.stage)
	if r := apply(t, b.flush(t)); r.View().State != job.StateRunning || r.Kubernetes.UID != "uid-1" {
		t.Errorf("record %+v", r)
	}
	t.Setenv(EnvAttempt, "two")
	if _, err := b.JoinFromEnvironment(t.Context()); err == nil || !strings.Contains(err.Error(), EnvAttempt) {
		t.Errorf("error %v", err)
	}
}

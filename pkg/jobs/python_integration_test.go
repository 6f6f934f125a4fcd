//go:build integration

package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// arrived is a message as it came from the emulator.
type arrived struct {
	message
	meta messaging.Meta
}

// emulator is a project on the Pub/Sub emulator with all topics.
type emulator struct {
	project string
	got     chan arrived
}

func newEmulator(t *testing.T) *emulator {
	t.Helper()
	if os.Getenv("PUBSUB_EMULATOR_HOST") == "" {
		t.Fatal("PUBSUB_EMULATOR_HOST is not set: run it with `make test-integration`")
	}
	e := &emulator{project: "sdk-" + uuid.NewString()[:8], got: make(chan arrived, 256)}
	client, err := messaging.NewClient(t.Context(), e.project)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := topology.Provision(t.Context(), client, e.project, topology.Local); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	claims := messaging.NewSubscriber(client, nil, messaging.Config{Subscription: topology.SubscriptionJobEventsStatusUpdater},
		func(_ context.Context, m *resiliencyv1.JobEvent, meta messaging.Meta) error {
			e.got <- arrived{m, meta}
			return nil
		},
		nil, newTestLog(t))
	phases := messaging.NewSubscriber(client, nil, messaging.Config{Subscription: topology.SubscriptionJobPhasesPhaseTracer},
		func(_ context.Context, m *resiliencyv1.PhaseEvent, meta messaging.Meta) error {
			e.got <- arrived{m, meta}
			return nil
		},
		nil, newTestLog(t))
	ended := make(chan error, 2)
	go func() { ended <- claims.Run(ctx) }()
	go func() { ended <- phases.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	return e
}

// await receives until every id has come. Pub/Sub may deliver twice.
func (e *emulator) await(t *testing.T, ids []string) map[string]arrived {
	t.Helper()
	all := map[string]arrived{}
	deadline := time.After(patience)
	missing := func() []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := all[id]; return ok })
	}
	for len(missing()) > 0 {
		select {
		case m := <-e.got:
			all[m.GetEventId()] = m
		case <-deadline:
			t.Fatalf("%d of %d events have not come: %q", len(missing()), len(ids), missing())
		}
	}
	return all
}

func TestEmulator_SDK(t *testing.T) {
	t.Parallel()
	e := newEmulator(t)
	out := &buffer{}
	c, err := New(t.Context(), Config{ProjectID: e.project, Output: out, Instance: "instance-1", Log: newTestLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	told := tell(t, c, func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}, out)
	e.check(t, told)
	if c.Dropped() != 0 {
		t.Errorf("%d dropped", c.Dropped())
	}
}

// Python tells the story that Go tells: the same facts under the same ids, taken
// by the same decoder, on both paths.
func TestEmulator_Python(t *testing.T) {
	t.Parallel()
	e := newEmulator(t)
	out := e.python(t, "tests/story.py")
	got := e.check(t, printedEvents(t, out))

	b := newBench(t)
	ours := words(mustTell(t, b))
	var theirs []string
	for _, m := range printedEvents(t, out) {
		theirs = append(theirs, word(m))
	}
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("stories differ (-Go +Python):\n%s", diff)
	}
	for _, m := range b.pubsub.messages {
		their, ok := got[m.GetEventId()]
		if !ok {
			t.Errorf("Python has no %s %q", m.GetEventId(), word(m))
			continue
		}
		if diff := cmp.Diff(m, their.message, protocmp.Transform(), protocmp.IgnoreFields(&resiliencyv1.JobEvent{}, "occurred_at"),
			protocmp.IgnoreFields(&resiliencyv1.PhaseEvent{}, "occurred_at", "message"),
			protocmp.IgnoreFields(&resiliencyv1.CauseDetail{}, "message"),
			protocmp.IgnoreFields(&resiliencyv1.JobStatusObserved{}, "detail")); diff != "" {
			t.Errorf("%q (-Go +Python):\n%s", word(m), diff)
		}
	}
}

func TestPython_Units(t *testing.T) {
	t.Parallel()
	command := python(t, "-m", "unittest", "discover", "-s", "tests")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// check waits until Pub/Sub has every event that was printed, and reads each as
// its services do.
func (e *emulator) check(t *testing.T, printed []message) map[string]arrived {
	t.Helper()
	var ids []string
	byID := map[string]message{}
	for _, m := range printed {
		ids = append(ids, m.GetEventId())
		byID[m.GetEventId()] = m
	}
	got := e.await(t, ids)
	for id, m := range got {
		if diff := cmp.Diff(byID[id], m.message, protocmp.Transform()); diff != "" {
			t.Errorf("(-printed +published):\n%s", diff)
		}
		if m.meta.EventID != id || m.meta.JobID != m.GetJobId() || m.meta.CorrelationID != m.GetCorrelationId() ||
			m.meta.Type != string(m.ProtoReflect().Descriptor().FullName()) {
			t.Errorf("attributes %v of %v", m.meta.Attributes, m.message)
		}
		if claim, ok := m.message.(*resiliencyv1.JobEvent); ok {
			if _, err := jobevent.Decode(claim, time.Now()); err != nil {
				t.Error(err)
			}
		} else if err := jobevent.CheckHead(m, time.Now()); err != nil {
			t.Error(err)
		}
		if traced := m.GetStage().GetName() == job.StageFaceDetection; traced != m.meta.Span.IsValid() {
			t.Errorf("%q has trace %q", word(m.message), m.meta.Attributes["traceparent"])
		}
	}
	return got
}

// tell tells the story of tests/story.py; printed are the events it printed.
func tell(t *testing.T, c *Client, flush func(), out *buffer) []message {
	t.Helper()
	ctx := t.Context()
	j, err := c.Create(ctx, Spec{ID: "py-1", CorrelationID: "req-é", Owner: "ann", Tenant: "acme", OutputURI: "gs://bucket/out/"})
	if err != nil {
		t.Fatal(err)
	}
	j.Enter(ctx, Backend())
	j.Phase(ctx, "validate").End()
	j.Done(ctx)

	span := messaging.Trace(map[string]string{"traceparent": traceParent})
	j = join(t, trace.ContextWithSpanContext(ctx, span), c, Ref{JobID: "py-1", CorrelationID: "req-é"})
	j.Enter(ctx, FaceDetection())
	p := j.Phase(ctx, "detect")
	p.Progress(3, 10, "frames")
	p.Progress(10, 10, "frames")
	p.End()
	j.Phase(ctx, "load-model").Fail(Cause{Message: "OSError: no such file"})
	j.Done(ctx)
	j.span = trace.SpanContext{} // the cluster's own events have no trace either
	j.Enter(ctx, OnKubernetes(KubernetesJob{Cluster: "batch-1", Namespace: "etl", Name: "py-1", UID: "uid-1"}))

	j = join(t, ctx, c, Ref{JobID: "py-2", Attempt: 3, InPod: true, Stage: OnKubernetes(KubernetesJob{})})
	j.Fail(ctx, Cause{Kind: job.CauseOOM, Message: "CUDA error"})
	join(t, ctx, c, Ref{JobID: "py-3"}).Fail(ctx, Cause{Kind: 999, Message: "\xff broken \x00" + strings.Repeat("x", 5000)})
	j = join(t, ctx, c, Ref{JobID: "py-4"})
	j.Enter(ctx, Stage{Name: "Stage of <mine>", Ordinal: -3})
	j.Succeed(ctx)
	j = join(t, ctx, c, Ref{JobID: "py-5"})
	j.Enter(ctx, Backend())
	j.Cancel(ctx, "not needed any more")
	j = join(t, ctx, c, Ref{JobID: "py-6", InPod: true})
	j.Enter(ctx, OnKubernetes(KubernetesJob{}))
	j.Enter(ctx, Stage{Name: "postprocess", Ordinal: 40})
	j.Succeed(ctx)
	flush()
	return printedEvents(t, []byte(out.String()))
}

func mustTell(t *testing.T, b *bench) []message {
	t.Helper()
	tell(t, b.Client, func() { b.flush(t) }, b.out)
	return b.pubsub.messages
}

func join(t *testing.T, ctx context.Context, c *Client, ref Ref) *Job { //nolint:revive // t comes first in helpers
	t.Helper()
	j, err := c.Join(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// python prepares a run of Python in the package's folder.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	found, err := exec.CommandContext(t.Context(), "../../tools/python/find.sh").Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s", failed.Stderr)
		}
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), strings.TrimSpace(string(found)), args...)
	command.Dir = "python"
	command.Env = append(os.Environ(), "PYTHONPATH=.", "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
	return command
}

func (e *emulator) python(t *testing.T, script string) []byte {
	t.Helper()
	command := python(t, script)
	command.Env = append(command.Env, EnvProject+"="+e.project, EnvTraceParent+"="+traceParent)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr:\n%s", stderr.String())
	}
	return out
}

// printedEvents reads printed lines as status-updater does, once GKE has wrapped them.
func printedEvents(t *testing.T, out []byte) []message {
	t.Helper()
	var all []message
	for line := range bytes.Lines(out) {
		wrapped, err := json.Marshal(map[string]any{
			"jsonPayload": json.RawMessage(line), "resource": map[string]any{"type": "k8s_container"},
		})
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		entry, err := logentry.Read(wrapped)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		var m message
		if entry.Kind == logentry.KindJobEvent {
			m, err = entry.JobEvent()
		} else {
			m, err = entry.PhaseEvent()
		}
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, proto.Clone(m).(message))
	}
	return all
}

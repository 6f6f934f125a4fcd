package jobs

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var kubernetesJob = KubernetesJob{Cluster: "batch-1", Namespace: "etl", Name: "j-17", UID: "uid-1"}

// apply is what becomes of a record that hears all claims.
func apply(t *testing.T, messages []message) *job.Record {
	t.Helper()
	var r job.Record
	for _, m := range messages {
		claim, ok := m.(*resiliencyv1.JobEvent)
		if !ok {
			continue
		}
		o, err := jobevent.Decode(claim, epoch)
		if err != nil {
			t.Fatal(err)
		}
		r.Apply(&o)
	}
	return &r
}

func TestJob_AUsualLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	j := b.mustCreate(t, Spec{ID: "j-17", CorrelationID: "req-1", Owner: "ann", Tenant: "acme", OutputURI: "gs://bucket/out/"})
	j.Enter(ctx, Backend())
	j.Phase(ctx, "validate").End()
	j.Done(ctx)

	next, err := b.Join(ctx, j.Ref())
	if err != nil {
		t.Fatal(err)
	}
	next.Enter(ctx, FaceDetection())
	detect := next.Phase(ctx, "detect")
	detect.Progress(3, 10, "frames")
	detect.End()
	detect.Fail(Cause{}) // ended already
	next.Enter(ctx, OnKubernetes(kubernetesJob))

	sent := b.flush(t)
	want := []string{
		"claim backend PENDING", "backend job.created note",
		"claim backend RUNNING", "backend stage start", "backend validate start", "backend validate SUCCEEDED",
		"backend stage SUCCEEDED", "claim backend RUNNING done",
		"claim face-detection RUNNING", "face-detection stage start", "face-detection detect start",
		"face-detection detect progress", "face-detection detect SUCCEEDED", "face-detection stage SUCCEEDED",
		"claim kubernetes PENDING", "kubernetes job.handed-over note",
	}
	if diff := cmp.Diff(want, words(sent)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r := apply(t, sent)
	v := r.View()
	if v.State != job.StatePending || v.Stage != job.StageKubernetes || v.Ordinal != job.OrdinalKubernetes ||
		r.CorrelationID.Value != "req-1" || r.Owner.Value != "ann" || r.Tenant.Value != "acme" || r.OutputURI.Value != "gs://bucket/out/" {
		t.Errorf("record %+v", r)
	}
	k := r.Kubernetes
	if k.Cluster != "batch-1" || k.Namespace != "etl" || k.Name != "j-17" || k.UID != "uid-1" || !k.CreatedAt.IsZero() {
		t.Errorf("Kubernetes Job %+v", k)
	}
}

// What the watchers say of the Kubernetes Job ranks above all that the SDK says of
// its stage, whenever it comes.
func TestJob_TheClusterKnowsBetter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	j := b.mustCreate(t, Spec{ID: "j-17"})
	j.Enter(t.Context(), OnKubernetes(kubernetesJob))
	r := apply(t, b.flush(t))
	r.Apply(&job.Observation{
		JobID: "j-17", Attempt: 1, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, OccurredAt: epoch.Add(-time.Minute),
		Kind: job.KindStatus, State: job.StateRunning, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		Kubernetes: job.Kubernetes{Cluster: "batch-1", UID: "uid-1", CreatedAt: epoch.Add(-time.Hour)},
	})
	if v := r.View(); v.State != job.StateRunning {
		t.Errorf("the record says %s", job.StateName(v.State))
	}
}

// Nothing that a pod says of its stages outlives the end that its Kubernetes Job shows:
// a claim about a later stage would be a later life.
func TestJob_ThePodsJobEndsTheJob(t *testing.T) {
	t.Parallel()
	for name, stage := range map[string]Stage{
		"its own":         OnKubernetes(kubernetesJob),
		"a later one":     {Name: "postprocess", Ordinal: job.OrdinalKubernetes + 10},
		"an earlier one":  Backend(),
		"one of its name": {Name: job.StageKubernetes, Ordinal: job.OrdinalKubernetes + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			j, err := b.Join(t.Context(), Ref{JobID: "j-17", InPod: true})
			if err != nil {
				t.Fatal(err)
			}
			j.Enter(t.Context(), stage)
			j.Phase(t.Context(), "load").End()
			sent := b.flush(t)
			r := apply(t, sent)
			r.Apply(&job.Observation{
				JobID: "j-17", Attempt: 1, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, OccurredAt: epoch.Add(-time.Minute),
				Kind: job.KindStatus, State: job.StateSucceeded, Evidence: job.EvidenceCondition, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
				Kubernetes: job.Kubernetes{Cluster: "batch-1", UID: "uid-1", CreatedAt: epoch.Add(-time.Hour)},
			})
			if v := r.View(); v.State != job.StateSucceeded {
				t.Errorf("the record says %s in stage %s", job.StateName(v.State), v.Stage)
			}
			if said := words(sent); !slices.Contains(said, stage.Name+" stage start") || !slices.Contains(said, stage.Name+" load SUCCEEDED") {
				t.Errorf("the timeline hears %q", said)
			}
		})
	}
}

func TestJob_Ends(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		inPod bool
		end   func(ctx context.Context, j *Job)
		want  []string
		state job.State
		cause job.Cause
	}{
		{"fails", false, func(ctx context.Context, j *Job) { j.Fail(ctx, Because(errors.New("no such file"))) },
			[]string{"backend stage FAILED", "claim backend FAILED"}, job.StateFailed, job.CauseOther},
		{"fails by a known cause", false, func(ctx context.Context, j *Job) { j.Fail(ctx, Cause{Kind: job.CauseQuota}) },
			[]string{"backend stage FAILED", "claim backend FAILED"}, job.StateFailed, job.CauseQuota},
		{"succeeds", false, func(ctx context.Context, j *Job) { j.Succeed(ctx) },
			[]string{"backend stage SUCCEEDED", "claim backend SUCCEEDED"}, job.StateSucceeded, 0},
		{"is cancelled", false, func(ctx context.Context, j *Job) { j.Cancel(ctx, "not needed any more") },
			[]string{"backend stage CANCELLED", "claim  CANCELLED"}, job.StateCancelled, job.CauseUser},
		{"fails in a pod", true, func(ctx context.Context, j *Job) { j.Fail(ctx, Cause{Message: "CUDA error"}) },
			[]string{"kubernetes stage FAILED", "kubernetes job.pod-failed note"}, job.StateRunning, 0},
		{"succeeds in a pod", true, func(ctx context.Context, j *Job) { j.Succeed(ctx) },
			[]string{"kubernetes stage SUCCEEDED", "kubernetes job.pod-succeeded note"}, job.StateRunning, 0},
		{"is done in a pod", true, func(ctx context.Context, j *Job) { j.Done(ctx) },
			[]string{"kubernetes stage SUCCEEDED"}, job.StateRunning, 0},
		{"is cancelled in a pod", true, func(ctx context.Context, j *Job) { j.Cancel(ctx, "") }, nil, job.StateRunning, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			stage := Backend()
			if tc.inPod {
				stage = OnKubernetes(KubernetesJob{})
			}
			j, err := b.Join(t.Context(), Ref{JobID: "j", InPod: tc.inPod, Stage: stage})
			if err != nil {
				t.Fatal(err)
			}
			j.Enter(t.Context(), stage)
			tc.end(t.Context(), j)
			sent := b.flush(t)
			if diff := cmp.Diff(tc.want, words(sent[2:])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if v := apply(t, sent).View(); v.State != tc.state || v.Cause.Cause != tc.cause {
				t.Errorf("the record says %s by %s", job.StateName(v.State), job.CauseName(v.Cause.Cause))
			}
		})
	}
}

// Ids follow the law of the contract, and facts that differ have ids that do.
func TestJob_EventIDs(t *testing.T) {
	t.Parallel()
	story := func(instance string) []message {
		b := newBench(t, func(c *Config) { c.Instance = instance })
		j := b.mustCreate(t, Spec{ID: "j-17", Attempt: 2})
		j.Enter(t.Context(), Backend())
		p := j.Phase(t.Context(), "load")
		p.Progress(1, 2, "files")
		p.Progress(2, 2, "files") // held back, and said at the end
		p.End()
		j.Phase(t.Context(), "load").End()
		j.Fail(t.Context(), Cause{})
		return b.flush(t)
	}
	first, again, other := story("a"), story("a"), story("b")
	seen := map[string]string{}
	for i, m := range first {
		if before, twice := seen[m.GetEventId()]; twice {
			t.Errorf("%q and %q share the id %s", before, word(m), m.GetEventId())
		}
		seen[m.GetEventId()] = word(m)
		if m.GetEventId() != again[i].GetEventId() {
			t.Errorf("%q has the ids %s and %s", word(m), m.GetEventId(), again[i].GetEventId())
		}
		// Claims are facts about the job, whoever states them; phases are an instance's.
		_, claim := m.(*resiliencyv1.JobEvent)
		if same := m.GetEventId() == other[i].GetEventId(); same != (claim || word(m) == "backend job.created note") {
			t.Errorf("%q of two instances has one id: %v", word(m), same)
		}
	}
	if want := job.EventID("j-17", "2", "backend", "PENDING", "state", "0"); first[0].GetEventId() != want {
		t.Errorf("created as %s, want %s", first[0].GetEventId(), want)
	}
	if len(first) != 12 {
		t.Errorf("%d events: %q", len(first), words(first))
	}
}

// A clock that stands still or is set back does not put what came later first.
func TestJob_TimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	now := epoch
	b := newBench(t, func(c *Config) {
		c.Now = func() time.Time { now = now.Add(-time.Second); return now }
	})
	j := b.mustCreate(t, Spec{ID: "j"})
	for range 3 {
		j.Phase(t.Context(), "p").End()
	}
	var last time.Time
	for _, m := range b.flush(t) {
		if at := m.GetOccurredAt().AsTime(); !at.After(last) {
			t.Errorf("%q at %s, after one at %s", word(m), at, last)
		} else {
			last = at
		}
	}
}

// A clock that had been an hour ahead is followed back: readers refuse the future.
func TestJob_TimeFollowsACorrectedClock(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	b := newBench(t, func(c *Config) {
		c.Now = func() time.Time { return epoch.Add(time.Duration(ahead.Load())) }
	})
	ahead.Store(int64(time.Hour))
	j := b.mustCreate(t, Spec{ID: "j"})
	ahead.Store(0)
	j.Enter(t.Context(), Backend())
	for _, m := range b.flush(t) {
		if word(m) == "claim backend RUNNING" && !m.GetOccurredAt().AsTime().Equal(epoch) {
			t.Errorf("running since %s", m.GetOccurredAt().AsTime())
		}
	}
}

func TestJob_CarriesTheTrace(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	span := messaging.Trace(map[string]string{"traceparent": parent})
	traced := trace.ContextWithSpanContext(t.Context(), span)
	b := newBench(t)
	j, err := b.Create(traced, Spec{ID: "j"})
	if err != nil {
		t.Fatal(err)
	}
	j.Phase(t.Context(), "without a span of its own").End()
	joined, err := b.Join(t.Context(), j.Ref())
	if err != nil || j.Ref().TraceParent != parent || j.Annotations()["resiliency.envision.dev/traceparent"] != parent {
		t.Fatalf("ref %+v, annotations %v, error %v", j.Ref(), j.Annotations(), err)
	}
	joined.Phase(t.Context(), "elsewhere").End()
	for i := range b.flush(t) {
		if b.pubsub.traces[i] != parent {
			t.Errorf("%q goes out with trace %q", word(b.pubsub.messages[i]), b.pubsub.traces[i])
		}
	}
}

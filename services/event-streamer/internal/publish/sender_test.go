package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }

// traceParent is what the Job of these facts carries.
const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// said is a status, a cause and a phase of one job.
func said(correlation string) []fact.Fact {
	head := job.Observation{
		OccurredAt: noon, JobID: "j-17", Attempt: 2, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
		CorrelationID: correlation, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
	}
	state, cause := head, head
	state.EventID, state.Kind, state.State, state.Evidence = "e-1", job.KindStatus, job.StateSucceeded, job.EvidenceCondition
	cause.EventID, cause.Kind, cause.Cause = "e-2", job.KindCause, job.CauseDetail{Cause: job.CauseOOM}
	return fact.From(&kube.Facts{
		Observations: []job.Observation{state, cause},
		Phases:       []*resiliencyv1.PhaseEvent{{EventId: "e-3", JobId: "j-17", Attempt: 2, Name: "pod.scheduled"}},
		TraceParent:  traceParent,
	})
}

type bench struct {
	*Sender
	broker  *messagingtest.Broker
	breaker *resilience.Breaker // of the claims
	log     *bytes.Buffer
}

func newBench(t *testing.T, b *messagingtest.Broker) *bench {
	t.Helper()
	return newBenchOpenFor(t, b, 20*time.Millisecond)
}

// newBenchOpenFor is newBench with breakers that stay open for that long.
func newBenchOpenFor(t *testing.T, b *messagingtest.Broker, openFor time.Duration) *bench {
	t.Helper()
	reg, log := prometheus.NewRegistry(), new(bytes.Buffer)
	p := messaging.NewPublisher(b.Client, messaging.PublisherConfig{Timeout: 5 * time.Second}, reg, zerolog.Nop())
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	breaker := func(name string) *resilience.Breaker {
		return resilience.NewBreaker(name, resilience.BreakerConfig{Failures: 1, OpenFor: openFor}, reg, zerolog.Nop())
	}
	claims := breaker("claims")
	return &bench{Sender: New(p, claims, breaker("phases"), zerolog.New(log)), broker: b, breaker: claims, log: log}
}

func TestSender_Send(t *testing.T) {
	t.Parallel()
	b := newBench(t, messagingtest.New(t))
	for i, err := range b.Send(t.Context(), said("req-1")) {
		if err != nil {
			t.Errorf("fact %d: %v", i, err)
		}
	}
	got := map[string]bool{}
	for range 2 {
		m := b.broker.Next(t.Context(), t, topology.SubscriptionJobEventsStatusUpdater)
		got[m.GetAttributes()["event_id"]] = true
		if m.GetAttributes()["traceparent"] != traceParent {
			t.Errorf("trace %q", m.GetAttributes()["traceparent"])
		}
		if m.GetAttributes()["job_id"] != "j-17" || m.GetAttributes()["correlation_id"] != "req-1" {
			t.Errorf("attributes %v", m.GetAttributes())
		}
	}
	m := b.broker.Next(t.Context(), t, topology.SubscriptionJobPhasesPhaseTracer)
	got[m.GetAttributes()["event_id"]] = true
	if !got["e-1"] || !got["e-2"] || !got["e-3"] {
		t.Errorf("arrived: %v", got)
	}
	b.checkLog(t)
}

// checkLog wants one line for each fact, told apart by level and claim.
func (b *bench) checkLog(t *testing.T) {
	t.Helper()
	want := map[string][3]string{
		"e-1": {"info", "state", "SUCCEEDED"}, "e-2": {"info", "cause", "OOM"}, "e-3": {"debug", "phase", "pod.scheduled"},
	}
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), b.log)
	}
	for _, line := range lines {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		w := want[l["event_id"].(string)]
		if l["level"] != w[0] || l[w[1]] != w[2] || l["job_id"] != "j-17" {
			t.Errorf("line %s, want %v", line, w)
		}
	}
}

// A missing topic is an outage: held back, tried again, never given up.
func TestSender_missingTopic(t *testing.T) {
	t.Parallel()
	b := newBenchOpenFor(t, messagingtest.NewBare(t), 2*time.Second) // a busy machine must not let a probe through
	for i, err := range b.Send(t.Context(), said("")) {
		want := resilience.CategoryDependency
		if i == 2 {
			want = resilience.CategoryRetryable // a phase holds back nobody else
		}
		if err == nil || resilience.CategoryOf(err) != want {
			t.Errorf("fact %d: got %v, want %s", i, err, want)
		}
	}
	if !b.breaker.Broken() || b.log.Len() != 0 {
		t.Fatalf("broken %v, log %q", b.breaker.Broken(), b.log)
	}
	for _, err := range b.Send(t.Context(), said("")) {
		if !errors.Is(err, resilience.ErrOpen) {
			t.Errorf("while it is open: %v", err)
		}
	}
	b.broker.Provision(t)
	for {
		if err := b.Wait(t.Context(), said("")); err != nil {
			t.Fatal(err)
		}
		if errs := b.Send(t.Context(), said("")); errors.Join(errs...) == nil {
			return
		}
	}
}

// Without the topic of phases the claims go on as if nothing were wrong, and a
// phase waits for its own turn.
func TestSender_missingTopicOfPhases(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, messagingtest.New(t, fault.Option()))
	fault.Set(func(req any) error {
		if strings.HasSuffix(req.(*pubsubpb.PublishRequest).GetTopic(), topology.TopicJobPhases) {
			return status.Error(codes.NotFound, "no such topic")
		}
		return nil
	})
	for range 3 {
		if err := b.Wait(t.Context(), said("")); err != nil {
			t.Fatal(err)
		}
		errs := b.Send(t.Context(), said(""))
		if errs[0] != nil || errs[1] != nil {
			t.Errorf("claims: %v, %v", errs[0], errs[1])
		}
		if errs[2] == nil || resilience.CategoryOf(errs[2]) != resilience.CategoryRetryable {
			t.Errorf("phase: %v, want a retryable error", errs[2])
		}
	}
	if b.breaker.Broken() {
		t.Error("the missing topic of phases holds back the claims")
	}
}

// One message that Pub/Sub refuses neither stops the others nor counts as an outage.
func TestSender_oneRefused(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, messagingtest.New(t, fault.Option()))
	fault.Set(func(req any) error {
		for _, m := range req.(*pubsubpb.PublishRequest).GetMessages() {
			if m.GetAttributes()["event_id"] == "e-2" {
				return status.Error(codes.InvalidArgument, "no")
			}
		}
		return nil
	})
	errs := b.Send(t.Context(), said(""))
	if errs[0] != nil || !resilience.IsPermanent(errs[1]) || errs[2] != nil {
		t.Errorf("outcomes %v, want only the second refused", errs)
	}
	if b.breaker.Broken() {
		t.Error("a refused message passed for an outage")
	}
}

func TestSender_Wait_endsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, messagingtest.NewBare(t))
	// Open for long: on a busy machine the bench's own would let a probe through.
	claims := resilience.NewBreaker("claims", resilience.BreakerConfig{Failures: 1, OpenFor: time.Minute}, prometheus.NewRegistry(), zerolog.Nop())
	sender := New(b.publisher, claims, b.phases, zerolog.Nop())
	sender.Send(t.Context(), said(""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, facts := range [][]fact.Fact{said(""), said("")[2:]} {
		if err := sender.Wait(ctx, facts); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// Phases alone neither wait for the topic of the claims nor take the turn to try it:
// the first call once it may be tried is that of a claim.
func TestSender_Wait_phasesAloneDoNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const openFor = 5 * time.Second
		claims := resilience.NewBreaker("claims", resilience.BreakerConfig{Failures: 1, OpenFor: openFor}, prometheus.NewRegistry(), zerolog.Nop())
		sender := New(nil, claims, nil, zerolog.Nop())
		down := resilience.Dependency("pubsub", errors.New("no such topic"))
		if err := claims.Do(t.Context(), func(context.Context) error { return down }); err == nil || !claims.Broken() {
			t.Fatalf("the breaker is not open: %v", err)
		}
		wait := func(facts []fact.Fact) time.Duration {
			begun := time.Now()
			if err := sender.Wait(t.Context(), facts); err != nil {
				t.Error(err)
			}
			return time.Since(begun)
		}
		all := said("")
		if took := wait(all[2:]); took != 0 {
			t.Errorf("a phase waited %s for the topic of the claims", took)
		}
		time.Sleep(2 * openFor)
		if phase, claim := wait(all[2:]), wait(all[:1]); phase != 0 || claim != 0 {
			t.Errorf("once it may be tried a phase waited %s and then a claim %s, want none", phase, claim)
		}
	})
}

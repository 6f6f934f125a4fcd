package export

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func event(jobID, id string, attempt int32) *resiliencyv1.PhaseEvent {
	return &resiliencyv1.PhaseEvent{
		EventId: id, JobId: jobID, Attempt: attempt, Name: "infer", OccurredAt: timestamppb.New(epoch), Stage: &resiliencyv1.Stage{Name: "kubernetes"},
		Event: &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{
			Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, Cause: &resiliencyv1.CauseDetail{Cause: job.CauseOOM, Message: "too much"},
		}},
	}
}

func recorded(t *testing.T, send func(x *Exporter)) []sdk.ReadOnlySpan {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	x := newExporter(recorder, Config{Version: "v1"}, prometheus.NewRegistry())
	send(x)
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return recorder.Ended()
}

func TestExporter_OneRunIsOneTrace(t *testing.T) {
	t.Parallel()
	spans := recorded(t, func(x *Exporter) {
		x.Finished(trace.SpanContext{}, event("j-1", "a", 1), epoch.Add(-time.Minute))
		x.Finished(trace.SpanContext{}, event("j-1", "b", 1), epoch.Add(-time.Second))
		x.Finished(trace.SpanContext{}, event("j-1", "c", 2), epoch)
		x.Finished(trace.SpanContext{}, event("j-1", "a", 1), epoch.Add(-time.Minute))
	})
	id := func(i int) (trace.TraceID, trace.SpanID) {
		return spans[i].SpanContext().TraceID(), spans[i].SpanContext().SpanID()
	}
	trace0, span0 := id(0)
	trace1, span1 := id(1)
	trace2, _ := id(2)
	trace3, span3 := id(3)
	if trace0 != trace1 || trace0 == trace2 || span0 == span1 || trace0 != trace3 || span0 != span3 || !spans[0].SpanContext().IsValid() {
		t.Errorf("traces %s %s %s, spans %s %s %s", trace0, trace1, trace2, span0, span1, span3)
	}
	s := spans[0]
	if s.Name() != "kubernetes/infer" || s.EndTime().Sub(s.StartTime()) != time.Minute || s.Status().Code != codes.Error || s.Status().Description != "OOM" {
		t.Errorf("span %s of %s, %+v", s.Name(), s.EndTime().Sub(s.StartTime()), s.Status())
	}
}

// Spans go to others than who may see the job: no text of it goes with them.
func TestExporter_SendsNoText(t *testing.T) {
	t.Parallel()
	const secret = "token=hunter2"
	told := &resiliencyv1.CauseDetail{Cause: job.CauseAppExit, Message: secret, Reason: secret, Pod: secret, Container: secret, Node: secret}
	ended, noted := event("j-1", "e", 1), event("j-1", "n", 1)
	ended.GetEnded().Cause = told
	noted.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR, Cause: told}}
	for _, e := range []*resiliencyv1.PhaseEvent{ended, noted} {
		e.Message, e.Details = secret, map[string]string{secret: secret}
	}
	spans := recorded(t, func(x *Exporter) {
		x.Finished(trace.SpanContext{}, ended, epoch.Add(-time.Minute))
		x.Phase(t.Context(), noted)
	})
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		if sent := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(s)); strings.Contains(sent, secret) {
			t.Errorf("a text goes out: %s", sent)
		}
		if s.Status().Code != codes.Error || s.Status().Description != "APP_EXIT" {
			t.Errorf("status %+v", s.Status())
		}
	}
}

// Pods do not make a name each.
func TestExporter_NamesAreFew(t *testing.T) {
	t.Parallel()
	for phase, want := range map[string]string{
		"pod train-x7k2p": "kubernetes/pod", "pod.scheduled": "kubernetes/pod.scheduled", "infer": "kubernetes/infer",
	} {
		e := event("j-1", "e", 1)
		e.Name = phase
		s := recorded(t, func(x *Exporter) { x.Finished(trace.SpanContext{}, e, epoch) })[0]
		if s.Name() != want || !slices.Contains(s.Attributes(), attribute.String("job.phase", phase)) {
			t.Errorf("phase %q is span %q with %v", phase, s.Name(), s.Attributes())
		}
	}
}

func TestExporter_BelongsToTheTraceThatItCameWith(t *testing.T) {
	t.Parallel()
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true})
	moment := event("j-1", "m", 1)
	moment.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{}}
	started := event("j-1", "s", 1)
	started.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
	spans := recorded(t, func(x *Exporter) {
		x.Finished(remote, event("j-1", "a", 1), epoch)
		x.Phase(trace.ContextWithRemoteSpanContext(context.Background(), remote), moment)
		x.Phase(t.Context(), started)
		x.Update(t.Context(), &resiliencyv1.JobUpdate{})
	})
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		if s.SpanContext().TraceID() != remote.TraceID() || s.Parent().SpanID() != remote.SpanID() {
			t.Errorf("trace %s, parent %s", s.SpanContext().TraceID(), s.Parent().SpanID())
		}
	}
}

func TestExporter_SendsToTheEndpoint(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			calls.Add(1)
		}
	}))
	defer collector.Close()
	x, err := New(t.Context(), Config{Endpoint: collector.URL + "/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Finished(trace.SpanContext{}, event("j-1", "a", 1), epoch)
	if err := x.Close(t.Context()); err != nil || calls.Load() != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// Package export sends phases as spans to an OpenTelemetry collector, so that a job
// is seen where the rest of the product's traces are.
//
// A phase is a span from its start to its end, a moment one without a length.
// Spans belong to the trace that the message came with, or else to one derived
// from job id and attempt, so that one run of a job is one trace whichever process
// sends a part of it, and a span that is sent twice has one id. Sending is in the
// background: a collector that is away costs spans and nothing else.
package export

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Config sets up an Exporter.
type Config struct {
	// Endpoint is the URL of the collector, for OTLP over HTTP.
	Endpoint string
	// Version is that of this service.
	Version string
}

// Exporter sends spans. It is safe for concurrent use.
type Exporter struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	spans    prometheus.Counter
}

// New returns an Exporter; it makes no call yet.
func New(ctx context.Context, cfg Config, reg prometheus.Registerer) (*Exporter, error) {
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(cfg.Endpoint)))
	if err != nil {
		return nil, fmt.Errorf("send spans to %s: %w", cfg.Endpoint, err)
	}
	return newExporter(sdk.NewBatchSpanProcessor(client), cfg, reg), nil
}

// tracesURL is the endpoint with the path of the protocol, as OpenTelemetry reads
// OTEL_EXPORTER_OTLP_ENDPOINT.
func tracesURL(endpoint string) string {
	for len(endpoint) > 0 && endpoint[len(endpoint)-1] == '/' {
		endpoint = endpoint[:len(endpoint)-1]
	}
	return endpoint + "/v1/traces"
}

func newExporter(processor sdk.SpanProcessor, cfg Config, reg prometheus.Registerer) *Exporter {
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(processor), sdk.WithIDGenerator(derived{}), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "phase-tracer"), attribute.String("service.version", cfg.Version))),
	)
	return &Exporter{
		provider: provider, tracer: provider.Tracer("github.com/envision/resiliency/services/phase-tracer"),
		spans: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "phase_tracer_spans_total", Help: "Spans handed to the exporter of OpenTelemetry.",
		}),
	}
}

// Close sends what waits, as long as ctx allows.
func (x *Exporter) Close(ctx context.Context) error {
	if err := x.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// Phase sends a moment; phases with a length come through Finished.
func (x *Exporter) Phase(ctx context.Context, e *resiliencyv1.PhaseEvent) {
	switch e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Started, *resiliencyv1.PhaseEvent_Progressed, *resiliencyv1.PhaseEvent_Ended:
	default:
		at := e.GetOccurredAt().AsTime()
		x.send(trace.SpanContextFromContext(ctx), e, at, at)
	}
}

// Update sends nothing: an update tells of what other spans show.
func (x *Exporter) Update(context.Context, *resiliencyv1.JobUpdate) {}

// Finished sends a phase that has ended.
func (x *Exporter) Finished(remote trace.SpanContext, end *resiliencyv1.PhaseEvent, begun time.Time) {
	x.send(remote, end, begun, end.GetOccurredAt().AsTime())
}

func (x *Exporter) send(remote trace.SpanContext, e *resiliencyv1.PhaseEvent, from, to time.Time) {
	ids := idsOf(remote, e)
	ctx := context.WithValue(context.Background(), idsKey{}, ids)
	if remote.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceFlags(trace.FlagsSampled))
	}
	_, span := x.tracer.Start(ctx, nameOf(e), trace.WithTimestamp(from), trace.WithAttributes(attributes(e)...))
	if cause := causeOf(e); cause != nil || e.GetEnded().GetOutcome() == resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED {
		span.SetStatus(codes.Error, job.CauseName(cause.GetCause()))
	}
	span.End(trace.WithTimestamp(to))
	x.spans.Inc()
}

// nameOf is what spans of a kind share: tracing backends keep a list of all names. Pods
// have names of their own, the phases of which (kube.PhasePod) become one.
func nameOf(e *resiliencyv1.PhaseEvent) string {
	name := e.GetName()
	if strings.HasPrefix(name, "pod ") {
		name = "pod"
	}
	return e.GetStage().GetName() + "/" + name
}

func causeOf(e *resiliencyv1.PhaseEvent) *resiliencyv1.CauseDetail {
	if c := e.GetEnded().GetCause(); c != nil {
		return c
	}
	return e.GetNoted().GetCause()
}

// attributes hold nothing of a payload but its head, and the status nothing but the
// cause's name: a trace goes to others than who may see the job.
func attributes(e *resiliencyv1.PhaseEvent) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("job.id", e.GetJobId()), attribute.Int("job.attempt", int(e.GetAttempt())),
		attribute.String("job.stage", e.GetStage().GetName()), attribute.String("job.phase", e.GetName()),
		attribute.String("job.correlation_id", e.GetCorrelationId()),
		attribute.String("job.event_id", e.GetEventId()), attribute.String("job.source", job.SourceName(e.GetSource())),
	}
}

type idsKey struct{}

// ids are those of a span before it is made.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func idsOf(remote trace.SpanContext, e *resiliencyv1.PhaseEvent) ids {
	var out ids
	run := sha256.Sum256(fmt.Appendf(nil, "trace\n%s\n%d", e.GetJobId(), e.GetAttempt()))
	event := sha256.Sum256([]byte("span\n" + e.GetEventId()))
	copy(out.trace[:], run[:])
	copy(out.span[:], event[:])
	if remote.IsValid() {
		out.trace = remote.TraceID()
	}
	return out
}

// derived gives a span the ids that its context holds.
type derived struct{}

// NewIDs gives the ids of a span without a parent.
func (derived) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	of, _ := ctx.Value(idsKey{}).(ids)
	return of.trace, of.span
}

// NewSpanID gives the id of a span with a parent.
func (derived) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	of, _ := ctx.Value(idsKey{}).(ids)
	return of.span
}

package service

import (
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
)

// TraceHook puts a log line into the trace that its context belongs to, by the
// field names from which Cloud Logging takes it: a line then stands beside the
// spans of the request that it is about. A line has a context when it was given
// one (zerolog's Event.Ctx); without a valid span in it nothing is added.
type TraceHook struct {
	// ProjectID is the GCP project that the traces are in.
	ProjectID string
}

// Run implements zerolog.Hook.
func (h TraceHook) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	span := trace.SpanContextFromContext(e.GetCtx())
	if !span.IsValid() {
		return
	}
	e.Str("logging.googleapis.com/trace", "projects/"+h.ProjectID+"/traces/"+span.TraceID().String()).
		Str("logging.googleapis.com/spanId", span.SpanID().String())
	if span.IsSampled() {
		e.Bool("logging.googleapis.com/trace_sampled", true)
	}
}

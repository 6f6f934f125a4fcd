package messaging

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The W3C trace context as attributes, so that what one user request set off is
// one trace from the SDK to the page.
const (
	// AttributeTraceParent is the W3C traceparent, version 00: 55 characters.
	AttributeTraceParent = "traceparent"
	// AttributeTraceState is the W3C tracestate, beside a traceparent only.
	AttributeTraceState = "tracestate"
)

const (
	// traceParentBytes is the length of version 00, the only one that there is.
	traceParentBytes = 55
	// maxTraceState is what the W3C says must be carried; longer ones are dropped.
	maxTraceState = 512
)

// AddTrace adds the span context of ctx to the attributes of a message that is
// stored first and published later. Without a valid one, or when the attributes
// have one already, it adds nothing.
func AddTrace(ctx context.Context, attributes map[string]string) {
	if _, set := attributes[AttributeTraceParent]; set {
		return
	}
	// A state without its parent belongs to no trace.
	delete(attributes, AttributeTraceState)
	propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(attributes))
	if len(attributes[AttributeTraceState]) > maxTraceState {
		delete(attributes, AttributeTraceState)
	}
}

// Trace reads the trace context of a message. Any publisher can set these
// attributes: what is not of the exact form gives an invalid span context, which
// no one takes up.
func Trace(attributes map[string]string) trace.SpanContext {
	parent := attributes[AttributeTraceParent]
	if len(parent) != traceParentBytes || parent[:3] != "00-" || parent[35] != '-' || parent[52] != '-' {
		return trace.SpanContext{}
	}
	traceID, traceErr := trace.TraceIDFromHex(parent[3:35])
	spanID, spanErr := trace.SpanIDFromHex(parent[36:52])
	flags, flagsErr := strconv.ParseUint(parent[53:], 16, 8)
	if traceErr != nil || spanErr != nil || flagsErr != nil || flags > uint64(trace.FlagsSampled|trace.FlagsRandom) {
		return trace.SpanContext{}
	}
	config := trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags), Remote: true}
	if state := attributes[AttributeTraceState]; len(state) <= maxTraceState {
		config.TraceState, _ = trace.ParseTraceState(state) // a bad state does not undo its parent
	}
	return trace.NewSpanContext(config)
}

// WithTrace gives ctx a span context that came from elsewhere, such as Trace
// returns; an invalid one leaves ctx as it is.
func WithTrace(ctx context.Context, remote trace.SpanContext) context.Context {
	if !remote.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, remote)
}

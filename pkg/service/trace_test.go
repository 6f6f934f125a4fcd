package service

import (
	"bytes"
	"context"
	"io"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// inTrace is a context within the span of the W3C's example.
func inTrace(flags trace.TraceFlags) context.Context {
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
		SpanID:     trace.SpanID{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
		TraceFlags: flags, Remote: true,
	}))
}

func TestLog_LinesBelongToTheirTrace(t *testing.T) {
	t.Parallel()
	const traceField, spanField, sampledField = "logging.googleapis.com/trace", "logging.googleapis.com/spanId", "logging.googleapis.com/trace_sampled"
	var out bytes.Buffer
	log, err := newLogger(&out, &Common{ProjectID: "my-project", LogLevel: "info", LogFormat: "json"}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("without a context")
	log.Info().Ctx(t.Context()).Msg("without a span")
	log.Warn().Ctx(inTrace(0)).Msg("not sampled")
	child := log.With().Str("subscription", "s").Logger()
	child.Info().Ctx(inTrace(trace.FlagsSampled)).Msg("sampled")
	child.Debug().Ctx(inTrace(trace.FlagsSampled)).Msg("below the level")

	lines := entries(t, out.String())
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, line := range lines {
		var wantTrace, wantSpan, wantSampled any
		if i >= 2 {
			wantTrace, wantSpan = "projects/my-project/traces/4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		}
		if i == 3 {
			wantSampled = true
		}
		if line[traceField] != wantTrace || line[spanField] != wantSpan || line[sampledField] != wantSampled {
			t.Errorf("line %q: trace %v, span %v, sampled %v", line["message"], line[traceField], line[spanField], line[sampledField])
		}
	}
}

func BenchmarkLog(b *testing.B) {
	log, err := newLogger(io.Discard, &Common{ProjectID: "my-project", LogLevel: "info", LogFormat: "json"}, "tester")
	if err != nil {
		b.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{"no_trace": context.Background(), "trace": inTrace(trace.FlagsSampled)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Info().Ctx(ctx).Str("job_id", "j-17").Str("event_id", "e-1").Msg("applied")
			}
		})
	}
}

package messaging_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceState  = "vendor=value"
)

// traced is a context within a span, as a product's is.
func traced(t *testing.T) context.Context {
	t.Helper()
	span := messaging.Trace(map[string]string{"traceparent": traceParent, "tracestate": traceState})
	if !span.IsValid() || !span.IsRemote() || !span.IsSampled() || span.TraceState().String() != traceState {
		t.Fatalf("%v of the example of the W3C", span)
	}
	return trace.ContextWithSpanContext(t.Context(), span)
}

func TestTrace_TakesTheExactFormOnly(t *testing.T) {
	t.Parallel()
	for name, parent := range map[string]string{
		"nothing":             "",
		"one short":           traceParent[:54],
		"one long":            traceParent + "0",
		"a later version":     "01" + traceParent[2:],
		"no version":          "ff" + traceParent[2:],
		"upper case":          strings.ToUpper(traceParent),
		"zero trace":          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"zero span":           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"no hex":              strings.Replace(traceParent, "4bf9", "4bxy", 1),
		"another separator":   strings.ReplaceAll(traceParent, "-", "_"),
		"flags of the future": traceParent[:53] + "ff",
		"invalid UTF-8":       strings.Repeat("\xff", 55),
		"a script":            "<script>alert(document.cookie)</script>________________",
	} {
		if span := messaging.Trace(map[string]string{"traceparent": parent}); span.IsValid() {
			t.Errorf("%s: %q is taken for %v", name, parent, span)
		}
	}
	for name, state := range map[string]string{
		"broken": "=;,", "too long": "vendor=" + strings.Repeat("x", 520), "invalid UTF-8": "vendor=\xff",
	} {
		span := messaging.Trace(map[string]string{"traceparent": traceParent, "tracestate": state})
		if !span.IsValid() || span.TraceState().Len() != 0 {
			t.Errorf("%s state: %v with state %q", name, span, span.TraceState())
		}
	}
}

func FuzzTrace(f *testing.F) {
	f.Add(traceParent, traceState)
	f.Add("", "=")
	f.Fuzz(func(t *testing.T, parent, state string) {
		span := messaging.Trace(map[string]string{"traceparent": parent, "tracestate": state})
		attributes := map[string]string{}
		messaging.AddTrace(messaging.WithTrace(t.Context(), span), attributes)
		if again := messaging.Trace(attributes); !again.Equal(span) {
			t.Errorf("%q, %q: %v goes out as %v", parent, state, span, attributes)
		}
		if !span.IsValid() && len(attributes) != 0 {
			t.Errorf("%q is not valid and goes out as %v", parent, attributes)
		}
	})
}

func TestAddTrace_NeverOverwrites(t *testing.T) {
	t.Parallel()
	other := map[string]string{"traceparent": "00-" + strings.Repeat("1", 32) + "-" + strings.Repeat("2", 16) + "-00"}
	want := maps.Clone(other)
	messaging.AddTrace(traced(t), other)
	if !maps.Equal(other, want) {
		t.Errorf("%v became %v", want, other)
	}
	stray := map[string]string{"tracestate": "other=1"}
	messaging.AddTrace(t.Context(), stray)
	if len(stray) != 0 {
		t.Errorf("a state without its parent: %v", stray)
	}
}

// From the publisher's span through the attributes to the handler's context and
// to what the handler publishes; and, when the message dies, to its letter and to
// the line that tells of it.
func TestTrace_TravelsThroughPubSub(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	type seen struct {
		meta messaging.Meta
		span trace.SpanContext
	}
	handled := make(chan seen, 2)
	b.subscribe(t, b.config(), func(ctx context.Context, e *resiliencyv1.JobEvent, meta messaging.Meta) error {
		err := b.publisher.Publish(ctx, &resiliencyv1.PhaseEvent{EventId: "of-" + e.GetEventId(), JobId: "j-1"})
		handled <- seen{meta, trace.SpanContextFromContext(ctx)}
		if err != nil {
			return err
		}
		return resilience.Permanent(errors.New("never again"))
	})
	ctx := traced(t)
	if err := b.publisher.Publish(ctx, event("e-1")); err != nil {
		t.Fatal(err)
	}
	got := receive(t, handled, "the message")
	want := trace.SpanContextFromContext(ctx)
	if !got.span.Equal(want) || !got.meta.Span.Equal(want) {
		t.Errorf("the handler works in %v, meta says %v, want %v", got.span, got.meta.Span, want)
	}
	letter := b.letter(t)
	if letter.GetAttributes()["traceparent"] != traceParent || letter.GetAttributes()["tracestate"] != traceState {
		t.Errorf("letter with %v", letter.GetAttributes())
	}
	phase := b.Next(t.Context(), t, topology.SubscriptionJobPhasesPhaseTracer)
	if phase.GetAttributes()["traceparent"] != traceParent {
		t.Errorf("what the handler published has %v", phase.GetAttributes())
	}

	told := func(id string) func() bool {
		return func() bool { return strings.Contains(b.log.String(), `"event_id":"`+id) }
	}
	eventually(t, "the line about e-1", told("e-1"))
	b.line(t, `"outcome":"dead_lettered"`, `"event_id":"e-1"`,
		`"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`)

	e, err := messaging.Encode(event("e-2"))
	if err != nil {
		t.Fatal(err)
	}
	e.Attributes["traceparent"] = "made up"
	b.Put(t, e.Topic, e.Data, e.Attributes)
	if got := receive(t, handled, "the foreign message"); got.span.IsValid() || got.meta.Span.IsValid() {
		t.Errorf("a made up trace is taken up: %v", got.span)
	}
	eventually(t, "the line about e-2", told("e-2"))
	if line := b.line(t, `"event_id":"e-2"`); strings.Contains(line, "googleapis") {
		t.Errorf("a made up trace is in the log: %s", line)
	}
}

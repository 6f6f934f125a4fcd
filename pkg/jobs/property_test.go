package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// text is anything that product code may pass for a text.
func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringN(0, 8, 40),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 3000), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "j-17", "face-detection", "a/b", "..", "<script>", "\x00", "\xff\xfe", "\u202egnp.exe", "é"}),
	)
}

// mostly is right often enough that the calls behind it are reached.
func mostly(right *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.OneOf(right, right, right, right, right, text())
}

func id() *rapid.Generator[string] {
	return mostly(rapid.StringMatching(`[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`))
}

func name() *rapid.Generator[string] { return mostly(rapid.StringMatching(`[ -~é]{0,100}`)) }

func stages() *rapid.Generator[Stage] {
	return rapid.Custom(func(t *rapid.T) Stage {
		return Stage{Name: text().Draw(t, "stage"), Ordinal: rapid.Int32().Draw(t, "ordinal"), Kubernetes: rapid.OneOf(
			rapid.Just(KubernetesJob{}), rapid.Custom(func(t *rapid.T) KubernetesJob {
				return KubernetesJob{text().Draw(t, "cluster"), text().Draw(t, "namespace"), text().Draw(t, "name"), text().Draw(t, "uid")}
			})).Draw(t, "kubernetes")}
	})
}

func causes() *rapid.Generator[Cause] {
	return rapid.Custom(func(t *rapid.T) Cause {
		return Cause{Kind: job.Cause(rapid.Int32().Draw(t, "kind")), Message: text().Draw(t, "message"), Reason: text().Draw(t, "reason")}
	})
}

// use makes calls as a product might that has every mistake in it.
func use(t *rapid.T, c *Client) {
	ctx := context.Background()
	var j *Job
	attempt := rapid.OneOf(rapid.Int32Range(1, 100), rapid.Int32Range(-1, 101))
	if rapid.Bool().Draw(t, "create") {
		j, _ = c.Create(ctx, Spec{
			ID: id().Draw(t, "id"), Attempt: attempt.Draw(t, "attempt"), CorrelationID: name().Draw(t, "correlation"),
			Owner: name().Draw(t, "owner"), Tenant: name().Draw(t, "tenant"), Stage: stages().Draw(t, "stage"),
			OutputURI: mostly(rapid.Just("gs://b/p/")).Draw(t, "output"),
		})
	} else {
		j, _ = c.Join(ctx, Ref{
			JobID: id().Draw(t, "id"), Attempt: attempt.Draw(t, "attempt"), CorrelationID: name().Draw(t, "correlation"),
			TraceParent: text().Draw(t, "parent"), TraceState: text().Draw(t, "state"),
			Stage: stages().Draw(t, "stage"), InPod: rapid.Bool().Draw(t, "pod"),
		})
	}
	phases := []*Phase{nil}
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, math.MaxFloat64}))
	t.Repeat(map[string]func(*rapid.T){
		"enter":   func(t *rapid.T) { j.Enter(ctx, stages().Draw(t, "stage")) },
		"done":    func(*rapid.T) { j.Done(ctx) },
		"succeed": func(*rapid.T) { j.Succeed(ctx) },
		"fail":    func(t *rapid.T) { j.Fail(ctx, causes().Draw(t, "cause")) },
		"cancel":  func(t *rapid.T) { j.Cancel(ctx, text().Draw(t, "why")) },
		"phase":   func(t *rapid.T) { phases = append(phases, j.Phase(ctx, text().Draw(t, "name"))) },
		"progress": func(t *rapid.T) {
			rapid.SampledFrom(phases).Draw(t, "phase").
				Progress(number.Draw(t, "done"), number.Draw(t, "total"), text().Draw(t, "unit"))
		},
		"end":      func(t *rapid.T) { rapid.SampledFrom(phases).Draw(t, "phase").End() },
		"failStep": func(t *rapid.T) { rapid.SampledFrom(phases).Draw(t, "phase").Fail(causes().Draw(t, "cause")) },
		"labels":   func(*rapid.T) { _, _, _ = j.Labels(), j.Annotations(), j.Ref() },
	})
}

// Whatever the SDK is given, what goes out is taken by every reader, on both
// paths, or was refused by Create or Join.
func TestProperty_WhatGoesOutIsAccepted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, func(c *Config) { c.Reporter = text().Draw(rt, "reporter") })
		use(rt, b.Client)
		sent := b.flush(t)
		if b.Dropped() != 0 {
			rt.Fatalf("%d events dropped: %s", b.Dropped(), b.log.String())
		}
		for _, m := range sent {
			accepted(rt, m)
		}
		if lines := bytes.Count([]byte(b.out.String()), []byte("\n")); lines != len(sent) {
			rt.Fatalf("%d lines for %d events", lines, len(sent))
		}
		printed := map[string]message{}
		for line := range bytes.Lines([]byte(b.out.String())) {
			m := readLine(rt, line)
			printed[m.GetEventId()+m.GetOccurredAt().String()] = m
		}
		for _, m := range sent {
			if got := printed[m.GetEventId()+m.GetOccurredAt().String()]; !proto.Equal(got, m) {
				rt.Fatalf("sent %v, printed %v", m, got)
			}
		}
	})
}

func accepted(t *rapid.T, m message) {
	if _, err := messaging.Encode(m); err != nil {
		t.Fatalf("%v cannot be sent: %v", m, err)
	}
	switch e := m.(type) {
	case *resiliencyv1.JobEvent:
		if _, err := jobevent.Decode(e, epoch); err != nil {
			t.Fatalf("%v is refused: %v", e, err)
		}
	case *resiliencyv1.PhaseEvent:
		if err := jobevent.CheckHead(e, epoch); err != nil || e.GetEvent() == nil {
			t.Fatalf("%v is refused: %v", e, err)
		}
		if len(e.GetName()) == 0 || len(e.GetName()) > 128 || len(e.GetMessage()) > 1024 {
			t.Fatalf("%v is longer than the contract says", e)
		}
	}
}

// readLine reads a line as status-updater does, once GKE has wrapped it.
func readLine(t *rapid.T, line []byte) message {
	wrapped, err := json.Marshal(map[string]any{
		"logName": "projects/p/logs/stdout", "jsonPayload": json.RawMessage(line),
		"resource": map[string]any{"type": "k8s_container"},
	})
	if err != nil {
		t.Fatalf("line %.200q: %v", line, err)
	}
	e, err := logentry.Read(wrapped)
	if err != nil {
		t.Fatalf("line %.200q: %v", line, err)
	}
	var m message
	switch e.Kind {
	case logentry.KindJobEvent:
		m, err = e.JobEvent()
	case logentry.KindPhaseEvent:
		m, err = e.PhaseEvent()
	default:
		t.Fatalf("line %.200q is a %s", line, e.Kind)
	}
	if err != nil {
		t.Fatalf("line %.200q: %v", line, err)
	}
	return m
}

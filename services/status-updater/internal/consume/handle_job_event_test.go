package consume

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestHandleJobEvent_Outcomes(t *testing.T) {
	t.Parallel()
	running := event(1, job.StateRunning, 0)
	done := event(5, job.StateSucceeded, job.EvidenceCondition)
	lost := event(4, job.StateFailed, job.EvidenceAbsence)
	cases := []struct {
		name     string
		told     []*resiliencyv1.JobEvent
		event    *resiliencyv1.JobEvent
		outcome  string
		from, to string
		level    string
		offered  int
	}{
		{"first", nil, running, "applied", "NONE", "RUNNING", "info", 1},
		{"end", []*resiliencyv1.JobEvent{running}, done, "applied", "RUNNING", "SUCCEEDED", "info", 2},
		{"repeat", []*resiliencyv1.JobEvent{done}, done, "duplicate", "SUCCEEDED", "SUCCEEDED", "debug", 1},
		{"late", []*resiliencyv1.JobEvent{done}, running, "stale", "SUCCEEDED", "SUCCEEDED", "debug", 1},
		{"correction", []*resiliencyv1.JobEvent{lost}, done, "corrected", "FAILED", "SUCCEEDED", "warn", 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			for _, e := range tc.told {
				if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil {
					t.Fatal(err)
				}
			}
			before := b.count(tc.outcome, "event_streamer", "status")
			meta := messaging.Meta{MessageID: "m-1", DeliveryAttempt: 2}
			if err := b.HandleJobEvent(t.Context(), tc.event, meta); err != nil {
				t.Fatal(err)
			}
			if got := b.count(tc.outcome, "event_streamer", "status") - before; got != 1 {
				t.Errorf("outcome %s counted %v times", tc.outcome, got)
			}
			if len(b.outbox.offered) != tc.offered {
				t.Errorf("%d entries offered, want %d", len(b.outbox.offered), tc.offered)
			}
			line := b.lastLine(t)
			delete(line, "revision")
			delete(line, "state")
			want := map[string]any{
				"level": tc.level, "message": tc.outcome, "outcome": tc.outcome, "job_id": "j-17", "correlation_id": "req-1",
				"event_id": "e-1", "message_id": "m-1", "delivery_attempt": 2.0, "source": "event_streamer",
				"kind": "status", "from": tc.from, "to": tc.to, "attempt": 1.0,
			}
			if diff := cmp.Diff(want, line); diff != "" {
				t.Errorf("log line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandleJobEvent_BadInput(t *testing.T) {
	t.Parallel()
	with := func(set func(*resiliencyv1.JobEvent)) *resiliencyv1.JobEvent {
		e := event(1, job.StateRunning, 0)
		set(e)
		return e
	}
	status := func(s *resiliencyv1.JobStatusObserved) *resiliencyv1.JobEvent {
		return with(func(e *resiliencyv1.JobEvent) { e.Event = &resiliencyv1.JobEvent_StatusObserved{StatusObserved: s} })
	}
	cases := []struct {
		name  string
		event *resiliencyv1.JobEvent
		kind  string
		text  string
	}{
		{"no_job_id", with(func(e *resiliencyv1.JobEvent) { e.JobId = "" }), "none", "job id"},
		{"job_id_is_a_path", with(func(e *resiliencyv1.JobEvent) { e.JobId = "a/../b" }), "none", "job id"},
		{"job_id_too_long", with(func(e *resiliencyv1.JobEvent) { e.JobId = strings.Repeat("x", 64) }), "none", "job id"},
		{"no_attempt", with(func(e *resiliencyv1.JobEvent) { e.Attempt = 0 }), "none", "attempt 0"},
		{"attempt_101", with(func(e *resiliencyv1.JobEvent) { e.Attempt = 101 }), "none", "attempt 101"},
		{"no_time", with(func(e *resiliencyv1.JobEvent) { e.OccurredAt = nil }), "none", "occurred_at"},
		{"from_the_future", with(func(e *resiliencyv1.JobEvent) { e.OccurredAt = timestamppb.New(noon.Add(11 * time.Minute)) }), "none", "ahead"},
		{"no_claim", with(func(e *resiliencyv1.JobEvent) { e.Event = nil }), "none", "claims nothing"},
		{"unknown_state", status(&resiliencyv1.JobStatusObserved{State: 99}), "status", "state 99"},
		{"unknown_evidence", status(&resiliencyv1.JobStatusObserved{State: job.StateFailed, Evidence: 99}), "status", "evidence 99"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			err := b.HandleJobEvent(t.Context(), tc.event, messaging.Meta{})
			if !resilience.IsPermanent(err) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v (%s) does not speak of %q", err, resilience.CategoryOf(err), tc.text)
			}
			source := "event_streamer"
			if tc.kind == "none" && tc.name != "no_claim" {
				source = "unspecified" // the head was not read to its end
			}
			if got := b.count("invalid", source, tc.kind); got != 1 {
				t.Errorf("counted %v times", got)
			}
			if b.records.calls != 0 || len(b.outbox.offered) != 0 {
				t.Error("a claim that breaks the contract was applied")
			}
		})
	}
}

// An event of a kind that a later release made is acked and counted.
func TestHandleJobEvent_UnknownKindIsAcked(t *testing.T) {
	t.Parallel()
	e := event(1, job.StateRunning, 0)
	e.Event = nil
	raw, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	raw = protowire.AppendTag(raw, 99, protowire.BytesType)
	raw = protowire.AppendBytes(raw, nil)
	later := &resiliencyv1.JobEvent{}
	if err := proto.Unmarshal(raw, later); err != nil {
		t.Fatal(err)
	}
	b := newBench()
	if err := b.HandleJobEvent(t.Context(), later, messaging.Meta{}); err != nil {
		t.Errorf("not acked: %v", err)
	}
	line := b.lastLine(t)
	if b.count("unknown", "event_streamer", "none") != 1 || line["job_id"] != "j-17" || line["event_id"] != "e-1" {
		t.Errorf("line %v", line)
	}
}

// What an event did, or that nobody here knows its kind, is said in its trace.
func TestHandleJobEvent_LinesBelongToTheTrace(t *testing.T) {
	t.Parallel()
	span := messaging.Trace(map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	ctx := messaging.WithTrace(t.Context(), span)
	unknown := event(1, job.StateRunning, 0)
	unknown.Event = nil
	unknown.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), nil))
	b := newBench()
	for _, e := range []*resiliencyv1.JobEvent{
		event(1, job.StateRunning, 0), event(1, job.StateRunning, 0), event(5, job.StateSucceeded, job.EvidenceCondition), unknown,
	} {
		b.lines.Reset()
		if err := b.HandleJobEvent(ctx, e, messaging.Meta{}); err != nil {
			t.Fatal(err)
		}
		line := b.lastLine(t)
		if line["logging.googleapis.com/trace"] != "projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736" ||
			line["logging.googleapis.com/spanId"] != "00f067aa0ba902b7" || line["job_id"] != "j-17" {
			t.Errorf("line %v", line)
		}
	}
}

// An unknown cause still is a failure.
func TestHandleJobEvent_UnknownCauseIsOther(t *testing.T) {
	t.Parallel()
	e := event(1, job.StateFailed, job.EvidenceCondition)
	e.GetStatusObserved().Cause = &resiliencyv1.CauseDetail{Cause: 99, Message: "cosmic ray"}
	b := newBench()
	if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	if got := b.records.record.View().Cause; got.Cause != job.CauseOther || got.Message != "cosmic ray" {
		t.Errorf("cause %+v", got)
	}
}

// A source that this release does not know must not become a label of its own.
func TestHandleJobEvent_UnknownSourceIsOther(t *testing.T) {
	t.Parallel()
	e := event(1, job.StateRunning, 0)
	e.Source = 4711
	b := newBench()
	if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	if got := b.count("applied", "other", "status"); got != 1 {
		t.Errorf("counted %v times as other", got)
	}
}

func TestHandleJobEvent_StoreErrors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		err      error
		category resilience.Category
		outcome  string
	}{
		{"firestore_down", resilience.Dependency("firestore", errors.New("down")), resilience.CategoryDependency, "error"},
		{"contended", resilience.Retryable(jobstore.ErrContended), resilience.CategoryRetryable, "error"},
		{"too_large", resilience.Permanent(errors.New("too large")), resilience.CategoryPermanent, "invalid"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			b.records.err = tc.err
			err := b.HandleJobEvent(t.Context(), event(1, job.StateRunning, 0), messaging.Meta{})
			if !errors.Is(err, tc.err) || resilience.CategoryOf(err) != tc.category {
				t.Errorf("error %v is %s", err, resilience.CategoryOf(err))
			}
			if len(b.breaker.errs) != 1 || !errors.Is(b.breaker.errs[0], tc.err) {
				t.Errorf("the breaker saw %v", b.breaker.errs)
			}
			if b.count(tc.outcome, "event_streamer", "status") != 1 || len(b.outbox.offered) != 0 {
				t.Error("not counted, or something was published")
			}
		})
	}
}

func TestHandleJobEvent_DelayIsFromTheFact(t *testing.T) {
	t.Parallel()
	b := newBench()
	done := event(30, job.StateSucceeded, job.EvidenceCondition) // 30 s before noon
	for range 2 {
		if err := b.HandleJobEvent(t.Context(), done, messaging.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "status_updater_change_delay_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 1 || h.GetSampleSum() != 30 {
			t.Errorf("%d delays of %v s together, want one of 30", h.GetSampleCount(), h.GetSampleSum())
		}
		return
	}
	t.Error("no delay was measured")
}

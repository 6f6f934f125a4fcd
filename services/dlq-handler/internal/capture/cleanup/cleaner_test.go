package cleanup_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/cleanup"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

const (
	events   = "job-events-status-updater"
	commands = "job-commands-product"
	updates  = "job-updates-product"
	phases   = "job-phases-phase-tracer"
	entries  = "job-log-entries-status-updater"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// records is one job's record by the merge rule, without a database.
type records struct {
	record  job.Record
	exists  bool
	fault   error
	applied int
}

func (r *records) Apply(_ context.Context, o *job.Observation) (jobstore.Result, error) {
	if r.fault != nil {
		return jobstore.Result{}, r.fault
	}
	r.applied++
	before := r.record
	outcome := r.record.Apply(o)
	r.exists = true
	after := r.record
	return jobstore.Result{Outcome: outcome, Before: &before, After: &after, Entries: []jobstore.Entry{{ID: "e"}}}, nil
}

func (r *records) Get(context.Context, string) (jobstore.Stored, bool, error) {
	record := r.record
	return jobstore.Stored{Record: &record}, r.exists, nil
}

type straight struct{}

func (straight) Do(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

type outbox struct{ offered int }

func (o *outbox) Offer(entries []jobstore.Entry) { o.offered += len(entries) }

func status(state job.State, evidence job.Evidence, at time.Time) *resiliencyv1.JobEvent {
	return &resiliencyv1.JobEvent{
		JobId: "j-1", Attempt: 1, OccurredAt: timestamppb.New(at), Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		Description: &resiliencyv1.JobDescription{Owner: "ana"},
		Event:       &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{State: state, Evidence: evidence}},
	}
}

func resume(at time.Time, expected int32) *resiliencyv1.JobCommand {
	return &resiliencyv1.JobCommand{
		JobId: "j-1", Attempt: 1, ExpectedAttempt: expected, OccurredAt: timestamppb.New(at),
		Stage: &resiliencyv1.Stage{Name: "backend", Ordinal: 10}, NotAfter: timestamppb.New(at.Add(time.Minute)),
		Event: &resiliencyv1.JobCommand_ResumeRequested{ResumeRequested: &resiliencyv1.JobResumeRequested{NewAttempt: 2}},
	}
}

func dead(t *testing.T, subscription string, m proto.Message, attributes ...string) *letter.Letter {
	t.Helper()
	var data []byte
	if m != nil {
		var err error
		if data, err = proto.Marshal(m); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{"dead_letter_subscription": subscription, "dead_letter_category": "permanent"}
	for i := 0; i < len(attributes); i += 2 {
		all[attributes[i]] = attributes[i+1]
	}
	l := letter.Read(&messaging.RawMessage{Data: data, Meta: messaging.Meta{
		MessageID: "m", PublishTime: now, Attributes: all, JobID: all["job_id"], Type: all["type"],
	}}, "p", now)
	return &l
}

func running(at time.Time, attempt int32, uid string) *job.Observation {
	o := &job.Observation{
		JobID: "j-1", Attempt: attempt, Ordinal: 30, Stage: "kubernetes", OccurredAt: at, Kind: job.KindStatus, State: job.StateRunning,
	}
	if uid != "" {
		o.Kubernetes = job.Kubernetes{UID: uid, CreatedAt: at, Name: "n", Namespace: "s", Cluster: "c"}
	}
	return o
}

func ended(at time.Time) *job.Observation {
	o := running(at, 1, "")
	o.State, o.Evidence = job.StateSucceeded, job.EvidenceCondition
	return o
}

func TestCleaner_Clean(t *testing.T) {
	t.Parallel()
	before, after := now.Add(-time.Hour), now.Add(-time.Minute)
	unknown := resume(after, 1)
	unknown.Event = nil
	bad := status(job.StateFailed, job.EvidenceCondition, now)
	bad.Attempt = 0
	cases := []struct {
		name   string
		known  *job.Observation
		letter *letter.Letter
		action string
		// state is what the record says then; "" for no record.
		state string
	}{
		{"end_is_applied", running(before, 1, ""), dead(t, events, status(job.StateSucceeded, job.EvidenceCondition, after)), cleanup.ActionApplied, "SUCCEEDED"},
		{"end_of_an_unknown_job", nil, dead(t, events, status(job.StateFailed, job.EvidenceCondition, after)), cleanup.ActionApplied, "FAILED"},
		{"end_that_is_known", ended(after), dead(t, events, status(job.StateSucceeded, job.EvidenceCondition, after)), cleanup.ActionKnown, "SUCCEEDED"},
		{"end_of_an_old_attempt", running(after, 2, ""), dead(t, events, status(job.StateFailed, job.EvidenceCondition, before)), cleanup.ActionKnown, "RUNNING"},
		{"running_changes_nothing", ended(before), dead(t, events, status(job.StateRunning, 0, after)), cleanup.ActionKept, "SUCCEEDED"},
		{"running_of_an_unknown_job", nil, dead(t, events, status(job.StateRunning, 0, after)), cleanup.ActionRecord, "PENDING"},
		{"contract_broken", running(before, 1, ""), dead(t, events, bad), cleanup.ActionKept, "RUNNING"},
		{"unreadable_of_an_unknown_job", nil, dead(t, events, nil, "job_id", "j-1"), cleanup.ActionRecord, "PENDING"},
		{"unreadable_without_a_job", nil, dead(t, events, nil), cleanup.ActionKept, ""},
		{"another_type_on_the_topic", nil, dead(t, updates, status(job.StateFailed, job.EvidenceCondition, after), "type", "envision.resiliency.v1.JobEvent"), cleanup.ActionRecord, "PENDING"},
		{"unknown_subscription", nil, dead(t, "forged", status(job.StateFailed, job.EvidenceCondition, after)), cleanup.ActionKept, ""},
		{"command", running(before, 1, ""), dead(t, commands, resume(after, 1)), cleanup.ActionFailed, "FAILED"},
		{"command_to_a_kubernetes_job", running(before, 1, "u-1"), dead(t, commands, resume(after, 1)), cleanup.ActionFailed, "FAILED"},
		{"command_of_an_unknown_job", nil, dead(t, commands, resume(after, 1)), cleanup.ActionFailed, "FAILED"},
		{"command_and_a_sign_of_life", running(after, 1, ""), dead(t, commands, resume(before, 1)), cleanup.ActionMovedOn, "RUNNING"},
		{"command_and_a_later_attempt", running(before, 2, ""), dead(t, commands, resume(after, 1)), cleanup.ActionMovedOn, "RUNNING"},
		{"command_to_an_ended_job", ended(before), dead(t, commands, resume(after, 1)), cleanup.ActionMovedOn, "SUCCEEDED"},
		{"command_of_a_later_release", running(before, 1, ""), dead(t, commands, unknown), cleanup.ActionKept, "RUNNING"},
		{"update", nil, dead(t, updates, &resiliencyv1.JobUpdate{JobId: "j-1"}), cleanup.ActionRecord, "PENDING"},
		{"phase", running(before, 1, ""), dead(t, phases, &resiliencyv1.PhaseEvent{JobId: "j-1"}), cleanup.ActionKept, "RUNNING"},
		{"log_entry", nil, dead(t, entries, nil, "job_id", "j-1"), cleanup.ActionKept, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, out := &records{}, &outbox{}
			if c.known != nil {
				store.record.Apply(c.known)
				store.exists = true
			}
			cleaner := newCleaner(store, out)
			got, err := cleaner.Clean(t.Context(), c.letter)
			if err != nil || got.Action != c.action || got.Text == "" || got.At.IsZero() {
				t.Errorf("Clean = %+v, %v; want %s", got, err, c.action)
			}
			view, state := store.record.View(), ""
			if store.exists {
				state = job.StateName(view.State)
			}
			if state != c.state || out.offered != store.applied {
				t.Errorf("state %q, want %q; %d entries of %d claims went out", state, c.state, out.offered, store.applied)
			}
			if c.action == cleanup.ActionFailed && (view.Evidence != job.EvidenceAssumed || view.Cause.Cause != job.CauseUndeliverable || view.Final) {
				t.Errorf("verdict %+v", view)
			}
			was := store.record
			if _, err := cleaner.Clean(t.Context(), c.letter); err != nil || !store.record.Equal(&was) {
				t.Errorf("a second clean-up changes the record, %v", err)
			}
		})
	}
}

func TestCleaner_LaterSignOfLifeReopens(t *testing.T) {
	t.Parallel()
	store := &records{exists: true}
	store.record.Apply(running(now.Add(-time.Hour), 1, "u-1"))
	if _, err := newCleaner(store, &outbox{}).Clean(t.Context(), dead(t, commands, resume(now.Add(-time.Minute), 1))); err != nil {
		t.Fatal(err)
	}
	o := running(now.Add(-time.Hour), 1, "u-1")
	o.OccurredAt = now
	store.record.Apply(o)
	if v := store.record.View(); v.State != job.StateRunning {
		t.Errorf("state %s after a sign of life", v.State)
	}
}

func TestCleaner_Faults(t *testing.T) {
	t.Parallel()
	end := dead(t, events, status(job.StateFailed, job.EvidenceCondition, now))
	down := &records{fault: resilience.Dependency("firestore", errors.New("no answer"))}
	if _, err := newCleaner(down, &outbox{}).Clean(t.Context(), end); resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("while Firestore is down: %v", err)
	}
	refused := &records{fault: resilience.Permanent(errors.New("too large"))}
	got, err := newCleaner(refused, &outbox{}).Clean(t.Context(), end)
	if err != nil || got.Action != cleanup.ActionKept || !strings.Contains(got.Text, "too large") {
		t.Errorf("what can never be applied: %+v, %v", got, err)
	}
}

func TestCleaner_LogsInTheTraceOfTheMessage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cleaner := newCleaner(&records{}, &outbox{})
	cleaner.Log = zerolog.New(&out).Hook(service.TraceHook{ProjectID: "p"})
	span := messaging.Trace(map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	end := dead(t, events, status(job.StateFailed, job.EvidenceCondition, now))
	if _, err := cleaner.Clean(messaging.WithTrace(t.Context(), span), end); err != nil {
		t.Fatal(err)
	}
	if line := out.String(); !strings.Contains(line, `"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`) {
		t.Errorf("line %s", line)
	}
}

func newCleaner(r *records, o *outbox) *cleanup.Cleaner {
	return cleanup.New(cleanup.Parts{
		Records: r, Breaker: straight{}, Outbox: o, Now: func() time.Time { return now }, Log: zerolog.Nop(),
	})
}

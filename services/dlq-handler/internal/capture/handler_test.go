package capture_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }

var (
	now     = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	errDown = resilience.Dependency("firestore", errors.New("no answer"))
)

// world is everything around a handler. Each error is given as long as it is set.
type world struct {
	// steps are what was done, in order.
	steps []string
	// stored is the letter as the store has it.
	stored  *letters.Letter
	tenant  string // of the job's record
	payload []byte // in the bucket
	fact    *notify.Fact
	entries []jobstore.Entry

	putErr, cleanErr, noteErr, recordErr, keepErr error
}

func (w *world) step(name string) { w.steps = append(w.steps, name) }

func (w *world) Put(_ context.Context, a *letters.Arrival, announce letters.AnnounceFunc) (letters.Letter, letters.Placed, []jobstore.Entry, error) {
	w.step("put")
	if w.putErr != nil {
		return letters.Letter{}, "", nil, w.putErr
	}
	if w.stored != nil {
		return *w.stored, letters.PlacedDelivered, nil, nil
	}
	l := a.Letter
	l.Episode, l.Pending = 1, []letters.Step{letters.StepCleanup, letters.StepNotify}
	w.stored = &l
	entries, err := announce(&l)
	return l, letters.PlacedNew, entries, err
}

func (w *world) Finish(_ context.Context, _ *letters.Letter, done []letters.Step, cleanup *letters.Cleanup, tenant string) error {
	w.step("finish")
	var left []letters.Step
	for _, step := range w.stored.Pending {
		if !strings.Contains(" "+joined(done), " "+string(step)) {
			left = append(left, step)
		}
	}
	w.stored.Pending = left
	if cleanup != nil {
		w.stored.Cleanup = *cleanup
	}
	if w.stored.Tenant == "" {
		w.stored.Tenant = tenant
	}
	return nil
}

func joined(steps []letters.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(string(s) + " ")
	}
	return b.String()
}

func (w *world) Keep(_ context.Context, id, sum string, payload []byte) (string, error) {
	w.step("keep")
	w.payload = payload
	return "gs://b/" + id + "/" + sum, w.keepErr
}

func (w *world) Recent(_ context.Context, jobID string) (jobstore.Stored, bool, error) {
	if w.recordErr != nil || w.tenant == "" {
		return jobstore.Stored{}, false, w.recordErr
	}
	return jobstore.Stored{Record: &job.Record{JobID: jobID, Tenant: job.Described{Value: w.tenant}}}, true, nil
}

func (w *world) Clean(context.Context, *letter.Letter) (letters.Cleanup, error) {
	w.step("clean")
	return letters.Cleanup{Action: "kept", Text: "Nothing to do.", At: now}, w.cleanErr
}

func (w *world) Note(_ context.Context, f *notify.Fact) error {
	w.step("note")
	w.fact = f
	return w.noteErr
}

func (w *world) Do(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func (w *world) Offer(entries []jobstore.Entry) { w.entries = append(w.entries, entries...) }

func (w *world) handler() *capture.Handler {
	return capture.New(capture.Parts{
		Letters: w, Objects: w, Records: w, Cleaner: w, Notes: w, Breaker: w, Outbox: w,
		Metrics: capture.NewMetrics(prometheus.NewRegistry()), ProjectID: "p", Now: func() time.Time { return now }, Log: zerolog.Nop(),
	})
}

func message(data []byte) messaging.RawMessage {
	return messaging.RawMessage{Data: data, Meta: messaging.Meta{
		MessageID: "m-1", PublishTime: now, JobID: "j-1",
		Attributes: map[string]string{
			"dead_letter_subscription": "job-events-status-updater", "dead_letter_category": "permanent",
			"dead_letter_reason": "<b>bad</b>", "job_id": "j-1", "tenant": "forged",
		},
	}}
}

func TestHandler_StoresThenCleansThenTells(t *testing.T) {
	t.Parallel()
	w := &world{tenant: "t1"}
	if err := w.handler().Handle(t.Context(), message([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"put", "clean", "note", "finish"}, w.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if len(w.entries) != 1 || w.entries[0].Topic != "job-phases" || w.stored.Tenant != "t1" || len(w.stored.Pending) != 0 {
		t.Errorf("entries %v, letter %+v", w.entries, w.stored)
	}
	if f := w.fact; f.Key != w.stored.ID+"-1" || f.Fingerprint != w.stored.Fingerprint || f.DetailLink != "/letters/"+w.stored.ID ||
		!strings.Contains(f.Detail, "Nothing to do.") || f.Title == "" {
		t.Errorf("fact %+v", f)
	}
	// The same delivery once more: all is done.
	w.steps = nil
	if err := w.handler().Handle(t.Context(), message([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"put"}, w.steps); diff != "" {
		t.Errorf("steps of a delivery that is done (-want +got):\n%s", diff)
	}
}

// The line that tells of a letter stands in the trace of the message that died.
func TestHandler_LogsInTheTraceOfTheMessage(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]bool{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": true, "made up": false} {
		var out bytes.Buffer
		h := (&world{}).handler()
		h.Log = zerolog.New(&out).Hook(service.TraceHook{ProjectID: "p"})
		msg := message([]byte("x"))
		msg.Attributes["traceparent"] = parent
		if err := h.Handle(messaging.WithTrace(t.Context(), messaging.Trace(msg.Attributes)), msg); err != nil {
			t.Fatal(err)
		}
		line := out.String()
		has := strings.Contains(line, `"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`)
		if has != want || strings.Contains(line, "made up") || !strings.Contains(line, `"message":"dead letter kept"`) {
			t.Errorf("traceparent %q: line %s", parent, line)
		}
	}
}

func TestHandler_IsNeverAckedUntilAllIsDone(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		set  func(w *world, err error)
		left []letters.Step
	}{
		{"not_stored", func(w *world, err error) { w.putErr = err }, nil},
		{"not_cleaned", func(w *world, err error) { w.cleanErr = err }, []letters.Step{letters.StepCleanup}},
		{"not_told", func(w *world, err error) { w.noteErr = err }, []letters.Step{letters.StepNotify}},
	}
	for _, c := range cases {
		for _, fault := range []error{errDown, resilience.Permanent(errors.New("refused"))} {
			t.Run(c.name+"_"+string(resilience.CategoryOf(fault)), func(t *testing.T) {
				t.Parallel()
				w := &world{}
				c.set(w, fault)
				if err := w.handler().Handle(t.Context(), message([]byte("x"))); err == nil || resilience.IsPermanent(err) {
					t.Errorf("Handle = %v", err)
				}
				if w.stored != nil {
					if diff := cmp.Diff(c.left, w.stored.Pending); diff != "" {
						t.Errorf("steps left (-want +got):\n%s", diff)
					}
				}
				c.set(w, nil)
				if err := w.handler().Handle(t.Context(), message([]byte("x"))); err != nil || len(w.stored.Pending) != 0 {
					t.Errorf("once it works again: %v, %v left", err, w.stored.Pending)
				}
			})
		}
	}
}

func TestHandler_LargePayloadsGoToTheBucket(t *testing.T) {
	t.Parallel()
	w := &world{}
	data := bytes.Repeat([]byte{1}, 10_000_000)
	if err := w.handler().Handle(t.Context(), message(data)); err != nil {
		t.Fatal(err)
	}
	if w.stored.Payload != nil || !strings.HasPrefix(w.stored.PayloadURI, "gs://b/"+w.stored.ID+"/") ||
		w.stored.PayloadSize != int64(len(data)) || !bytes.Equal(w.payload, data) || w.steps[0] != "keep" {
		t.Errorf("letter of %d bytes at %q, steps %v", w.stored.PayloadSize, w.stored.PayloadURI, w.steps)
	}
	w = &world{keepErr: capture.ErrNoBucket}
	if err := w.handler().Handle(t.Context(), message(data)); !errors.Is(err, capture.ErrNoBucket) || w.stored != nil {
		t.Errorf("without a bucket: %v, stored %t", err, w.stored != nil)
	}
}

func TestHandler_TenantWaitsForTheRecord(t *testing.T) {
	t.Parallel()
	w := &world{tenant: "t1", recordErr: errDown, cleanErr: errDown}
	if err := w.handler().Handle(t.Context(), message([]byte("x"))); err == nil || w.stored == nil || w.stored.Tenant != "" {
		t.Errorf("Handle = %v, letter %+v", err, w.stored)
	}
	w.recordErr, w.cleanErr = nil, nil
	if err := w.handler().Handle(t.Context(), message([]byte("x"))); err != nil || w.stored.Tenant != "t1" {
		t.Errorf("Handle = %v, tenant %q", err, w.stored.Tenant)
	}
}

package consume

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// fakes stands for all that a handler works with.
type fakes struct {
	added  []*phases.Document
	fail   error
	tenant string
	reads  int
	heard  []string
}

func (f *fakes) Add(_ context.Context, d *phases.Document) error {
	if f.fail == nil {
		f.added = append(f.added, d)
	}
	return f.fail
}

func (f *fakes) Get(_ context.Context, jobID string) (jobstore.Stored, bool, error) {
	f.reads++
	if f.tenant == "down" {
		return jobstore.Stored{}, false, resilience.Dependency("firestore", errors.New("down"))
	}
	return jobstore.Stored{Record: &job.Record{JobID: jobID, Tenant: job.Described{Value: f.tenant}}}, f.tenant != "", nil
}

func (f *fakes) Phase(_ context.Context, e *resiliencyv1.PhaseEvent) {
	f.heard = append(f.heard, e.GetEventId())
}
func (f *fakes) Update(_ context.Context, u *resiliencyv1.JobUpdate) {
	f.heard = append(f.heard, u.GetEventId())
}

func newHandler(f *fakes, now func() time.Time) *Handler {
	return New(Parts{
		Writer: f, Tenants: NewTenantCache(f, now), Listeners: []Listener{f}, Now: now, Log: zerolog.Nop(),
		TTLs: phases.TTLs{Default: 720 * time.Hour, Tenants: map[string]time.Duration{"video": 48 * time.Hour}}, Metrics: NewMetrics(prometheus.NewRegistry()),
	})
}

func still() time.Time { return epoch }

func event(alter ...func(*resiliencyv1.PhaseEvent)) *resiliencyv1.PhaseEvent {
	e := &resiliencyv1.PhaseEvent{
		EventId: "e-1", JobId: "j-1", Attempt: 1, Name: "load", OccurredAt: timestamppb.New(epoch), Source: resiliencyv1.Source_SOURCE_SDK,
		Event: &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}},
	}
	for _, a := range alter {
		a(e)
	}
	return e
}

func expiry(d *phases.Document) time.Time { at, _ := d.Fields()["expire_at"].(time.Time); return at }

func TestHandler_KeepsAsLongAsTheTenantWants(t *testing.T) {
	t.Parallel()
	now := epoch
	f := &fakes{}
	h := newHandler(f, func() time.Time { return now })
	handle := func() time.Duration {
		t.Helper()
		if err := h.HandlePhase(t.Context(), event(), messaging.Meta{PublishTime: epoch}); err != nil {
			t.Fatal(err)
		}
		return expiry(f.added[len(f.added)-1]).Sub(now)
	}
	if got := handle(); got != 720*time.Hour {
		t.Errorf("without a record it is kept %s", got)
	}
	if f.tenant = "video"; handle() != 720*time.Hour || f.reads != 1 {
		t.Errorf("that there is none was not believed for a moment: %d reads", f.reads)
	}
	now = now.Add(noTenantsFor)
	if got := handle(); got != 48*time.Hour {
		t.Errorf("with the tenant's record it is kept %s", got)
	}
	for range 100 {
		handle()
	}
	if f.reads != 2 {
		t.Errorf("%d reads of the record", f.reads)
	}
	f.tenant = "down"
	h.Tenants.Learn("j-2", "video")
	if err := h.HandlePhase(t.Context(), event(func(e *resiliencyv1.PhaseEvent) { e.JobId = "j-2" }), messaging.Meta{}); err != nil {
		t.Errorf("a tenant that an update told: %v", err)
	}
	err := h.HandlePhase(t.Context(), event(func(e *resiliencyv1.PhaseEvent) { e.JobId = "j-3" }), messaging.Meta{})
	if resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("while Firestore is down: %v", err)
	}
}

func TestHandler_Refuses(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*resiliencyv1.PhaseEvent){
		"no_job":     func(e *resiliencyv1.PhaseEvent) { e.JobId = "" },
		"path":       func(e *resiliencyv1.PhaseEvent) { e.JobId = "../x" },
		"attempt":    func(e *resiliencyv1.PhaseEvent) { e.Attempt = 101 },
		"no_time":    func(e *resiliencyv1.PhaseEvent) { e.OccurredAt = nil },
		"far_ahead":  func(e *resiliencyv1.PhaseEvent) { e.OccurredAt = timestamppb.New(epoch.Add(time.Hour)) },
		"no_name":    func(e *resiliencyv1.PhaseEvent) { e.Name = "" },
		"stage":      func(e *resiliencyv1.PhaseEvent) { e.Stage = &resiliencyv1.Stage{Name: strings.Repeat("x", 64)} },
		"wrong_time": func(e *resiliencyv1.PhaseEvent) { e.OccurredAt = &timestamppb.Timestamp{Nanos: -1} },
	} {
		f := &fakes{}
		h := newHandler(f, still)
		if err := h.HandlePhase(t.Context(), event(alter), messaging.Meta{}); !resilience.IsPermanent(err) || len(f.added) > 0 || len(f.heard) > 0 {
			t.Errorf("%s: %v, stored %d", name, err, len(f.added))
		}
		if n := testutil.ToFloat64(h.Metrics.handled.WithLabelValues("phase", "sdk", outcomeInvalid)); n != 1 {
			t.Errorf("%s: %v counted", name, n)
		}
	}
}

func TestHandler_Updates(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	h := newHandler(f, still)
	u := &resiliencyv1.JobUpdate{
		EventId: "u-1", JobId: "j-1", Attempt: 1, OccurredAt: timestamppb.New(epoch), Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER,
		Description: &resiliencyv1.JobDescription{Tenant: "video"},
	}
	if err := h.HandleUpdate(t.Context(), u, messaging.Meta{PublishTime: epoch}); err != nil {
		t.Fatal(err)
	}
	if len(f.added) != 1 || f.added[0].ID != "u-1" || expiry(f.added[0]).Sub(epoch) != 48*time.Hour || f.reads != 0 || len(f.heard) != 1 {
		t.Errorf("stored %+v, %d reads, heard %v", f.added, f.reads, f.heard)
	}
	f.fail = resilience.Permanent(errors.New("too large"))
	if err := h.HandleUpdate(t.Context(), u, messaging.Meta{}); !resilience.IsPermanent(err) || !strings.Contains(err.Error(), "update u-1 of job j-1") {
		t.Errorf("refused: %v", err)
	}
	u.JobId = ""
	if err := h.HandleUpdate(t.Context(), u, messaging.Meta{}); !resilience.IsPermanent(err) {
		t.Errorf("without a job: %v", err)
	}
}

// What comes of a source that a later release knows bounds the labels.
func TestHandler_UnknownSource(t *testing.T) {
	t.Parallel()
	h := newHandler(&fakes{}, still)
	for i := range 50 {
		e := event(func(e *resiliencyv1.PhaseEvent) { e.Source = resiliencyv1.Source(100 + i) })
		if err := h.HandlePhase(t.Context(), e, messaging.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testutil.CollectAndCount(h.Metrics.handled); n != 1 {
		t.Errorf("%d series", n)
	}
}

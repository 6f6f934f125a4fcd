package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// memory keeps sums, as Firestore does.
type memory struct {
	mu   sync.Mutex
	sums map[string]Sum
	fail error
}

func (m *memory) Save(_ context.Context, s *Sum) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.sums[s.ID] = *s
	return nil
}

func (m *memory) Read(_ context.Context, level string, from, to time.Time) ([]Sum, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Sum
	for _, s := range m.sums {
		if s.Level == level && !s.Bucket.Before(from) && s.Bucket.Before(to) {
			out = append(out, s)
		}
	}
	return out, true, nil
}

// starts knows when phases began that no process here was told of.
type starts map[string]time.Time

func (s starts) Started(_ context.Context, end *resiliencyv1.PhaseEvent) (time.Time, bool, error) {
	at, ok := s[end.GetJobId()]
	return at, ok, nil
}

type bench struct {
	*Book
	store *memory
	now   time.Time
}

func newBench(store *memory, known starts) *bench {
	b := &bench{store: store, now: epoch}
	b.Book = New(store, known, func() time.Time { return b.now }, prometheus.NewRegistry(), zerolog.Nop())
	return b
}

// settle counts all that waits and writes it.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	if err := b.last(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func phase(jobID, name string, at time.Time, set func(*resiliencyv1.PhaseEvent)) *resiliencyv1.PhaseEvent {
	e := &resiliencyv1.PhaseEvent{
		JobId: jobID, Attempt: 1, Name: name, OccurredAt: timestamppb.New(at), Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		Source: resiliencyv1.Source_SOURCE_SDK,
	}
	set(e)
	e.EventId = fmt.Sprintf("%s/%s/%s/%T", jobID, name, at, e.GetEvent())
	return e
}

func started(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
}

func failed(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED}}
}

func ended(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{}}
}

// pass has a phase take that long, up to now.
func (b *bench) pass(jobID, name string, took time.Duration) {
	b.Phase(context.Background(), phase(jobID, name, b.now.Add(-took), started))
	b.Phase(context.Background(), phase(jobID, name, b.now, ended))
}

func (b *bench) report(t *testing.T, window time.Duration) map[string]Row {
	t.Helper()
	b.reports.Purge()
	r, err := b.Report(t.Context(), window)
	if err != nil || !r.Complete {
		t.Fatalf("%+v, %v", r, err)
	}
	out := make(map[string]Row)
	for _, row := range r.Rows {
		out[row.Phase] = row
	}
	return out
}

func near(got, want time.Duration) bool {
	diff := (got - want).Abs()
	return diff <= want/50+time.Millisecond
}

func TestBook_Percentiles(t *testing.T) {
	t.Parallel()
	store := &memory{sums: map[string]Sum{}}
	// Two processes, each with half of them.
	for process := range 2 {
		b := newBench(store, nil)
		for i := process; i < 1000; i += 2 {
			b.pass(fmt.Sprintf("j-%d", i), "load", time.Duration(i+1)*100*time.Millisecond)
		}
		b.settle(t)
	}
	b := newBench(store, nil)
	for _, window := range []time.Duration{time.Hour, 24 * time.Hour} {
		row := b.report(t, window)["load"]
		if row.Count != 1000 || !near(row.P50, 50*time.Second) || !near(row.P95, 95*time.Second) || !near(row.P99, 99*time.Second) || row.Slow {
			t.Errorf("window %s: %+v", window, row)
		}
	}
}

func TestBook_TellsWhatBecameSlow(t *testing.T) {
	t.Parallel()
	b := newBench(&memory{sums: map[string]Sum{}}, nil)
	fill := func(when time.Time, slow, steady, straggling time.Duration) {
		b.now = when
		for i := range 40 {
			id := fmt.Sprintf("%s-%d", when, i)
			b.pass(id, "slow", slow)
			b.pass(id, "steady", steady)
			late := steady
			if i < 4 {
				late = straggling
			}
			b.pass(id, "straggling", late)
		}
		b.pass("rare-"+when.String(), "rare", slow)
		b.settle(t)
	}
	fill(epoch.Add(-90*time.Minute), 10*time.Second, 5*time.Second, 5*time.Second)
	fill(epoch, 30*time.Second, 5*time.Second, time.Minute)
	rows := b.report(t, time.Hour)
	if r := rows["slow"]; !r.Slow || !strings.Contains(r.Why, "rose from 10") || r.CountBefore != 40 {
		t.Errorf("slow: %+v", r)
	}
	for _, name := range []string{"steady", "straggling", "rare"} {
		if rows[name].Slow {
			t.Errorf("%s: %+v", name, rows[name])
		}
	}
}

func TestBook_CountsEachEndOnce(t *testing.T) {
	t.Parallel()
	store := &memory{sums: map[string]Sum{}}
	b := newBench(store, starts{"j-elsewhere": epoch.Add(-7 * time.Second)})
	var told []time.Duration
	b.OnFinished(func(_ trace.SpanContext, end *resiliencyv1.PhaseEvent, begun time.Time) {
		told = append(told, end.GetOccurredAt().AsTime().Sub(begun))
	})
	end := phase("j-1", "load", epoch, failed)
	b.Phase(t.Context(), end) // before its start
	b.Phase(t.Context(), phase("j-1", "load", epoch.Add(-3*time.Second), started))
	b.Phase(t.Context(), end)
	b.Phase(t.Context(), phase("j-elsewhere", "load", epoch, ended))
	b.Phase(t.Context(), phase("j-negative", "load", epoch, started))
	b.Phase(t.Context(), phase("j-negative", "load", epoch.Add(-time.Second), ended))
	b.Phase(t.Context(), phase("j-2", "load", epoch, func(e *resiliencyv1.PhaseEvent) { ended(e); e.Source = resiliencyv1.Source_SOURCE_LOG_WITNESS }))
	for _, name := range []string{"pod a-xyz", "pod b-uvw"} {
		b.pass("j-3", name, time.Second)
	}
	b.pass("j-3", "stage", 9*time.Second)
	update := &resiliencyv1.JobUpdate{
		EventId: "u", State: job.StateFailed, Evidence: job.EvidenceCondition, OccurredAt: timestamppb.New(epoch),
		Stage: &resiliencyv1.Stage{Name: "kubernetes"}, Kubernetes: &resiliencyv1.KubernetesRef{CreatedAt: timestamppb.New(epoch.Add(-11 * time.Second))},
	}
	b.Update(t.Context(), update)
	b.Update(t.Context(), update)
	b.settle(t)
	rows := b.report(t, time.Hour)
	if r := rows["load"]; r.Count != 2 || r.Failed != 1 {
		t.Errorf("load: %+v", r)
	}
	if rows["pod"].Count != 2 || rows[""].Count != 2 || rows[""].Failed != 1 || !near(rows[""].P99, 9*time.Second) && !near(rows[""].P99, 11*time.Second) {
		t.Errorf("rows: %+v", rows)
	}
	for result, want := range map[string]float64{"repeated": 2, "unpaired": 1, "negative": 1, "counted": 6} {
		if got := testutil.ToFloat64(b.results.WithLabelValues(result)); got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
	if len(told) != 6 || told[0] != 3*time.Second || told[1] != 7*time.Second {
		t.Errorf("told of %v", told)
	}
}

// A stage takes as long as its Kubernetes Job only where that Job ended the job.
func TestBook_Update(t *testing.T) {
	t.Parallel()
	end := func(stage string, state job.State, evidence job.Evidence) *resiliencyv1.JobUpdate {
		return &resiliencyv1.JobUpdate{
			EventId: "u", State: state, Evidence: evidence, OccurredAt: timestamppb.New(epoch), Stage: &resiliencyv1.Stage{Name: stage},
			Kubernetes: &resiliencyv1.KubernetesRef{CreatedAt: timestamppb.New(epoch.Add(-24 * time.Hour))},
		}
	}
	for name, tc := range map[string]struct {
		update        *resiliencyv1.JobUpdate
		count, failed int64
	}{
		"failed":                     {end(job.StageKubernetes, job.StateFailed, job.EvidenceCondition), 1, 1},
		"succeeded":                  {end(job.StageKubernetes, job.StateSucceeded, job.EvidenceCondition), 1, 0},
		"deleted":                    {end(job.StageKubernetes, job.StateCancelled, job.EvidenceDeleted), 1, 0},
		"not_final":                  {end(job.StageKubernetes, job.StateFailed, job.EvidenceAbsence), 0, 0},
		"next_attempt_fails_earlier": {end(job.StageBackend, job.StateFailed, job.EvidenceStated), 0, 0},
		"next_attempt_has_no_job":    {end(job.StageKubernetes, job.StateFailed, job.EvidenceStated), 0, 0},
		"later_stage":                {end("postprocess", job.StateSucceeded, job.EvidenceStated), 0, 0},
		"cancelled_by_its_user":      {end("", job.StateCancelled, job.EvidenceStated), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(&memory{sums: map[string]Sum{}}, nil)
			b.Update(t.Context(), tc.update)
			b.settle(t)
			var count, failed int64
			for _, r := range b.report(t, 24*time.Hour) {
				count, failed = count+r.Count, failed+r.Failed
			}
			if count != tc.count || failed != tc.failed {
				t.Errorf("%d counted, %d of them failed", count, failed)
			}
		})
	}
}

func TestBook_IsBounded(t *testing.T) {
	t.Parallel()
	store := &memory{sums: map[string]Sum{}}
	b := newBench(store, nil)
	for i := range 2 * maxRows {
		b.pass("j-1", fmt.Sprintf("phase-%d", i), time.Duration(i)*time.Millisecond)
	}
	b.settle(t)
	rows := b.report(t, time.Hour)
	var total int64
	for _, r := range rows {
		total += r.Count
	}
	if len(rows) > maxRows+1 || total != 2*maxRows || rows[others].Count < maxRows {
		t.Errorf("%d rows of %d ends, others %+v", len(rows), total, rows[others])
	}
	for _, l := range levels() {
		if got := testutil.ToFloat64(b.overflows.WithLabelValues(l.name)); got != maxRows {
			t.Errorf("level %s: %v overflowed, want %d", l.name, got, maxRows)
		}
	}
	for range maxQueue + 5 {
		b.Phase(t.Context(), phase("j-2", "x", epoch, started))
	}
	if got := testutil.ToFloat64(b.results.WithLabelValues("dropped")); got != 5 {
		t.Errorf("%v were dropped", got)
	}
	b.pass("old", "ancient", time.Second)
	b.note(row{}, epoch.Add(-60*24*time.Hour), time.Second, false)
	if got := testutil.ToFloat64(b.results.WithLabelValues("too_old")); got != 1 {
		t.Errorf("%v were too old", got)
	}
}

func TestBook_KeepsWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	store := &memory{sums: map[string]Sum{}, fail: errors.New("down")}
	b := newBench(store, nil)
	b.pass("j-1", "load", time.Second)
	b.settle(t)
	store.fail = nil
	b.now = epoch.Add(48 * time.Hour)
	b.flush(t.Context())
	b.flush(t.Context())
	if len(store.sums) != 2 || len(b.open) != 0 {
		t.Errorf("%d sums written, %d buckets open", len(store.sums), len(b.open))
	}
	if _, err := b.Report(t.Context(), time.Second); err == nil {
		t.Error("a window that there is not was reported")
	}
	store.sums["bad"] = Sum{ID: "bad", Level: "10m", Bucket: b.now, Data: []byte("{")}
	if r, err := b.Report(t.Context(), time.Hour); err != nil || r.Complete {
		t.Errorf("with a sum that cannot be read: %+v, %v", r, err)
	}
}

func TestBook_Runs(t *testing.T) {
	t.Parallel()
	store := &memory{sums: map[string]Sum{}}
	b := newBench(store, nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.pass("j-1", "load", time.Second)
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(store.sums) != 2 {
		t.Errorf("%d sums written at the end", len(store.sums))
	}
}

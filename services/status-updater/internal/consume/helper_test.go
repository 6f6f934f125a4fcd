package consume

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// records keeps one record and makes an entry of every change.
type records struct {
	mu     sync.Mutex
	record job.Record
	// cached, when set, is an older form of it that is in memory.
	cached   *job.Record
	revision int64
	err      error
	calls    int
	searches int
	// reads counts what memory did not have.
	reads int
}

func (r *records) Apply(_ context.Context, o *job.Observation) (jobstore.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.err != nil {
		return jobstore.Result{}, r.err
	}
	before := r.record
	outcome := r.record.Apply(o)
	result := jobstore.Result{Outcome: outcome, Before: &before, After: new(r.record), Revision: r.revision}
	if outcome.Changed() {
		r.revision++
		result.Revision, result.Tries = r.revision, 1
		result.Entries = []jobstore.Entry{{ID: "u"}}
	}
	return result, nil
}

func (r *records) FindByUID(_ context.Context, uid string) (jobstore.Stored, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.searches++
	known := new(r.record)
	if r.cached != nil {
		known = r.cached
	}
	switch {
	case r.err != nil:
		return jobstore.Stored{}, r.err
	case uid != known.Kubernetes.UID:
		return jobstore.Stored{}, fmt.Errorf("find %s: %w", uid, jobstore.ErrUnknownUID)
	}
	return jobstore.Stored{Record: known}, nil
}

func (r *records) RecentWhere(_ context.Context, jobID string, suits func(*job.Record) bool) (jobstore.Stored, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.searches++
	if r.cached != nil && suits(r.cached) {
		return jobstore.Stored{Record: r.cached}, true, nil
	}
	r.reads++
	r.cached = nil
	if r.err != nil || r.record.JobID != jobID {
		return jobstore.Stored{}, false, r.err
	}
	return jobstore.Stored{Record: new(r.record)}, true, nil
}

// memorize puts the record into memory as it is now.
func (r *records) memorize() { r.cached = new(r.record) }

// breaker lets everything through and notes what came back.
type breaker struct {
	mu   sync.Mutex
	errs []error
}

func (b *breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	err := fn(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errs = append(b.errs, err)
	return err
}

type outbox struct {
	mu      sync.Mutex
	offered []jobstore.Entry
}

func (o *outbox) Offer(entries []jobstore.Entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.offered = append(o.offered, entries...)
}

// phases keeps what is published.
type phases struct {
	published []*resiliencyv1.PhaseEvent
	err       error
}

func (p *phases) Publish(_ context.Context, phase proto.Message) error {
	if p.err != nil {
		return p.err
	}
	p.published = append(p.published, phase.(*resiliencyv1.PhaseEvent))
	return nil
}

// sources keeps who said what, "event_streamer first" for a claim.
type sources struct {
	mu   sync.Mutex
	said []string
}

func (s *sources) Claim(source job.Source, first bool) {
	word := " duplicate"
	if first {
		word = " first"
	}
	s.say(sourceLabel(source) + word)
}

func (s *sources) Heard(source job.Source) { s.say(sourceLabel(source)) }

func (s *sources) say(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, words)
}

type bench struct {
	*Handler
	records *records
	breaker *breaker
	outbox  *outbox
	phases  *phases
	sources *sources
	reg     *prometheus.Registry
	lines   *bytes.Buffer
}

func newBench() *bench {
	b := &bench{
		records: &records{}, breaker: &breaker{}, outbox: &outbox{},
		phases: &phases{}, sources: &sources{}, reg: prometheus.NewRegistry(), lines: &bytes.Buffer{},
	}
	b.Handler = New(Parts{
		Records: b.records, Breaker: b.breaker, Outbox: b.outbox, Phases: b.phases, Sources: b.sources,
		Trust:   logentry.Trust{Namespace: "resiliency", Container: "log-witness", Cluster: "batch-1"},
		Metrics: NewMetrics(b.reg), Now: func() time.Time { return noon },
		Log: zerolog.New(zerolog.SyncWriter(b.lines)).Hook(service.TraceHook{ProjectID: "p"}),
	})
	return b
}

func (b *bench) count(outcome, source, kind string) float64 {
	return testutil.ToFloat64(b.Metrics.observations.WithLabelValues(outcome, source, kind))
}

// lastLine is the last log line, nil if there is none.
func (b *bench) lastLine(t *testing.T) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(b.lines.String()), "\n")
	if lines[len(lines)-1] == "" {
		return nil
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func event(second int, state job.State, evidence job.Evidence) *resiliencyv1.JobEvent {
	return &resiliencyv1.JobEvent{
		EventId: "e-1", OccurredAt: timestamppb.New(noon.Add(time.Duration(second-60) * time.Second)),
		JobId: "j-17", Attempt: 1, Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		CorrelationId: "req-1", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		Kubernetes: &resiliencyv1.KubernetesRef{Uid: "u-1", CreatedAt: timestamppb.New(noon.Add(-time.Hour))},
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: state, Evidence: evidence,
		}},
	}
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// FlushEvery is how often sums are written.
const FlushEvery = 30 * time.Second

const (
	// maxQueue bounds what waits to be counted, maxKnown what is remembered to tell
	// repeats and starts by.
	maxQueue = 10_000
	maxKnown = 100_000
	// maxSum is how many bytes a sum may have: below what a document may.
	maxSum = 900 << 10
	// reportFor is how long a report is good for.
	reportFor = 15 * time.Second
)

// level is a length of buckets.
type level struct {
	name   string
	bucket time.Duration
	keep   time.Duration
	// upTo is the longest window that it serves.
	upTo time.Duration
}

func levels() []level {
	return []level{
		{"10m", 10 * time.Minute, 2 * 24 * time.Hour, 6 * time.Hour},
		{"6h", 6 * time.Hour, 30 * 24 * time.Hour, MaxWindow},
	}
}

// Sum is what one process has summed up in one bucket, as it is kept.
type Sum struct {
	// ID is unique to the process and the bucket, Level names the length of the bucket.
	ID, Level string
	// Bucket is when the bucket begins.
	Bucket   time.Time
	Data     []byte
	ExpireAt time.Time
}

// Store keeps sums.
type Store interface {
	Save(ctx context.Context, s *Sum) error
	// Read returns the sums of a level whose buckets begin from from on and before to;
	// complete is false when there are more than can be read.
	Read(ctx context.Context, level string, from, to time.Time) (sums []Sum, complete bool, err error)
}

// Starts finds when a phase began that another process was told of.
type Starts interface {
	Started(ctx context.Context, end *resiliencyv1.PhaseEvent) (at time.Time, found bool, err error)
}

// Book sums up durations. Phase and Update may be called by many at once.
type Book struct {
	store  Store
	starts Starts
	now    func() time.Time
	log    zerolog.Logger
	in     chan func(ctx context.Context)

	begun, counted *lru.Cache[string, time.Time]
	// early are ends whose start has not come yet.
	early    *lru.Cache[string, end]
	finished []FinishedFunc
	reports  *lru.Cache[time.Duration, *Report]
	results  *prometheus.CounterVec
	// overflows counts by level what went into others.
	overflows *prometheus.CounterVec

	mu   sync.Mutex
	open map[place]*bucket
}

type place struct {
	level string
	start time.Time
}

// bucket holds sums that are not all written yet. Its id is its own: a bucket that was
// let go and is begun again becomes another document.
type bucket struct {
	id    string
	level level
	sums  sums
	dirty bool
}

// New returns an empty book; Run counts and writes.
func New(store Store, starts Starts, now func() time.Time, reg prometheus.Registerer, log zerolog.Logger) *Book {
	begun, _ := lru.New[string, time.Time](maxKnown) // fails only for a size of 0
	counted, _ := lru.New[string, time.Time](maxKnown)
	early, _ := lru.New[string, end](maxQueue)
	reports, _ := lru.New[time.Duration, *Report](16)
	return &Book{
		store: store, starts: starts, now: now, log: log, in: make(chan func(context.Context), maxQueue),
		begun: begun, counted: counted, early: early,
		reports: reports, open: make(map[place]*bucket),
		results: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "phase_tracer_durations_total",
			Help: "Ends of phases and stages by what became of their duration " +
				"(counted, repeated, unpaired, negative, too_old, dropped, error).",
		}, []string{"result"}),
		overflows: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "phase_tracer_overflowed_durations_total",
			Help: "Durations counted in the row (others), since a bucket has no room for more stages and phases, by level of buckets (10m, 6h).",
		}, []string{"level"}),
	}
}

// FinishedFunc is told of a phase that has ended, with the trace that its end came
// with. It must not block.
type FinishedFunc func(remote trace.SpanContext, end *resiliencyv1.PhaseEvent, begun time.Time)

// OnFinished has f told of each phase that ended and whose start is known. It is
// called before Run.
func (b *Book) OnFinished(f FinishedFunc) { b.finished = append(b.finished, f) }

// Run counts until ctx ends, writes every FlushEvery, and once more at the end.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case count := <-b.in:
			count(ctx)
		case <-tick.C:
			b.flush(ctx)
		case <-ctx.Done():
			return b.last(ctx)
		}
	}
}

// last counts what waits and writes all, within some seconds.
func (b *Book) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for {
		select {
		case count := <-b.in:
			count(ctx)
			continue
		default:
		}
		b.flush(ctx)
		return nil
	}
}

// note adds a duration to the buckets of all levels.
func (b *Book) note(r row, ended time.Time, took time.Duration, failed bool) {
	now := b.now()
	if now.Sub(ended) > 2*MaxWindow || ended.Sub(now) > time.Hour {
		b.results.WithLabelValues("too_old").Inc()
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range levels() {
		if now.Sub(ended) > l.keep {
			continue
		}
		at := place{l.name, ended.UTC().Truncate(l.bucket)}
		open := b.open[at]
		if open == nil {
			open = &bucket{id: l.name + "-" + uuid.NewString(), level: l, sums: make(sums)}
			b.open[at] = open
		}
		overflowed, err := open.sums.add(r, took, failed)
		if err != nil {
			b.results.WithLabelValues("error").Inc()
			return
		}
		if overflowed {
			b.overflows.WithLabelValues(l.name).Inc()
		}
		open.dirty = true
	}
	b.results.WithLabelValues("counted").Inc()
}

// flush writes what is new, and lets go of buckets that are over.
func (b *Book) flush(ctx context.Context) {
	for at, data := range b.unwritten() {
		err := b.store.Save(ctx, data)
		b.mu.Lock()
		open := b.open[at]
		switch {
		case err != nil:
			open.dirty = true
		case b.now().Sub(at.start) > 2*open.level.bucket && !open.dirty:
			delete(b.open, at)
		}
		b.mu.Unlock()
		if err != nil {
			b.log.Warn().Err(err).Msg("sums of durations not written; they are tried again")
		}
	}
}

func (b *Book) unwritten() map[place]*Sum {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[place]*Sum)
	for at, open := range b.open {
		if !open.dirty {
			if b.now().Sub(at.start) > 2*open.level.bucket {
				delete(b.open, at)
			}
			continue
		}
		data, folded, err := open.sums.encode(maxSum)
		b.overflows.WithLabelValues(at.level).Add(float64(folded))
		if err != nil {
			b.log.Error().Err(err).Msg("sums of durations cannot be written")
			delete(b.open, at)
			continue
		}
		open.dirty = false
		out[at] = &Sum{ID: open.id, Level: at.level, Bucket: at.start, Data: data, ExpireAt: at.start.Add(open.level.keep)}
	}
	return out
}

// Report merges what all processes have written of the last window, and of the
// window before it. It is up to FlushEvery and reportFor late.
func (b *Book) Report(ctx context.Context, window time.Duration) (*Report, error) {
	if window < MinWindow || window > MaxWindow {
		return nil, errors.New("report durations: no such window")
	}
	if known, ok := b.reports.Get(window); ok && b.now().Sub(known.To) < reportFor {
		return known, nil
	}
	l := levels()[0]
	if window > l.upTo {
		l = levels()[1]
	}
	to := b.now().UTC()
	from := to.Add(-window).Truncate(l.bucket)
	all, complete, err := b.store.Read(ctx, l.name, from.Add(-window), to.Add(time.Hour))
	if err != nil {
		return nil, fmt.Errorf("report durations: %w", err)
	}
	now, before := make(sums), make(sums)
	for i := range all {
		into := now
		if all[i].Bucket.Before(from) {
			into = before
		}
		if err := into.merge(all[i].Data); err != nil {
			b.log.Warn().Err(err).Str("sum", all[i].ID).Msg("sum of durations left out")
			complete = false
		}
	}
	report := &Report{From: from, To: to, Rows: rows(now, before), Complete: complete}
	b.reports.Add(window, report)
	return report, nil
}

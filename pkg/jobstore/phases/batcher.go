package phases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/resilience"
)

// BatcherConfig sets up a Batcher. Zero values take the defaults.
type BatcherConfig struct {
	// Writers is how many commits may be on their way at once; 8 by default.
	Writers int
	// Linger is how long a commit waits for more documents while a writer is free;
	// 5 ms by default. While none is free it waits anyway, and grows.
	Linger time.Duration
	// Guard makes a commit, or refuses to: a circuit breaker. nil makes it.
	Guard func(ctx context.Context, commit func(ctx context.Context) error) error
}

func (c BatcherConfig) withDefaults() BatcherConfig {
	if c.Writers <= 0 {
		c.Writers = 8
	}
	if c.Linger <= 0 {
		c.Linger = 5 * time.Millisecond
	}
	if c.Guard == nil {
		c.Guard = func(ctx context.Context, commit func(context.Context) error) error { return commit(ctx) }
	}
	return c
}

// committer writes documents; *Store is one.
type committer interface {
	Commit(ctx context.Context, docs []*Document) error
}

// Batcher gathers documents of many callers into large commits. Each caller is
// told what became of its own document: what Firestore refuses fails alone.
type Batcher struct {
	cfg   BatcherConfig
	store committer
	in    chan *pending
	slots chan struct{}
	// stopped is closed when nothing more is taken.
	stopped chan struct{}
	metrics batchMetrics
}

type batchMetrics struct {
	documents *prometheus.CounterVec
	size      prometheus.Histogram
}

// pending is a document that waits to be committed, with all who wait for it.
type pending struct {
	doc  *Document
	done []chan<- error
}

// errStopped says that the process is about to end.
var errStopped = errors.New("the writer of phases has ended")

// NewBatcher returns a Batcher that writes once Run is called.
func NewBatcher(store committer, cfg BatcherConfig, reg prometheus.Registerer) *Batcher {
	cfg = cfg.withDefaults()
	factory := promauto.With(reg)
	return &Batcher{
		cfg: cfg, store: store,
		in: make(chan *pending), slots: make(chan struct{}, cfg.Writers), stopped: make(chan struct{}),
		metrics: batchMetrics{
			documents: factory.NewCounterVec(prometheus.CounterOpts{
				Name: "resiliency_phases_documents_total",
				Help: "Phases handed to the store by result (stored, refused, failed).",
			}, []string{"result"}),
			size: factory.NewHistogram(prometheus.HistogramOpts{
				Name: "resiliency_phases_commit_documents", Help: "Documents in a commit of phases.",
				Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500},
			}),
		},
	}
}

// Add returns when the document is stored, or cannot be. Errors are those of
// Store.Commit; one of category permanent is about this document alone.
func (b *Batcher) Add(ctx context.Context, d *Document) error {
	done := make(chan error, 1)
	select {
	case b.in <- &pending{doc: d, done: []chan<- error{done}}:
	case <-b.stopped:
		return resilience.Retryable(errStopped)
	case <-ctx.Done():
		return resilience.Retryable(fmt.Errorf("wait for a place in a commit: %w", ctx.Err()))
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return resilience.Retryable(fmt.Errorf("wait for the commit: %w", ctx.Err()))
	}
}

// Run writes until ctx ends, and returns when what it took is written. It always
// returns nil. It is called once.
func (b *Batcher) Run(ctx context.Context) error {
	var writers sync.WaitGroup
	defer writers.Wait()
	defer close(b.stopped)
	for {
		select {
		case first := <-b.in:
			batch := b.gather(ctx, first)
			// What was taken is written, and not cut off by the end of the process
			// but by the timeout of a call.
			work := context.WithoutCancel(ctx)
			writers.Go(func() {
				defer func() { <-b.slots }()
				b.write(work, batch)
			})
		case <-ctx.Done():
			return nil
		}
	}
}

// gather takes documents until the commit is full or has waited long enough, and a
// writer is free; it takes that writer's slot.
func (b *Batcher) gather(ctx context.Context, first *pending) []*pending {
	batch := newBatch()
	batch.add(first)
	linger := time.NewTimer(b.cfg.Linger)
	defer linger.Stop()
	waited, slots := false, (chan struct{})(nil)
	over := ctx.Done()
	for {
		in := b.in
		if batch.full() {
			in, waited = nil, true
		}
		if waited {
			slots = b.slots
		}
		select {
		case p := <-in:
			batch.add(p)
		case <-linger.C:
			waited = true
		case <-over:
			waited, over = true, nil
		case slots <- struct{}{}:
			return batch.list
		}
	}
}

// batch is a commit that grows. Documents of one name become one.
type batch struct {
	list  []*pending
	named map[[2]string]*pending
	bytes int
}

func newBatch() *batch { return &batch{named: make(map[[2]string]*pending)} }

func (b *batch) full() bool { return len(b.list) >= MaxCommit || b.bytes >= maxCommitBytes }

func (b *batch) add(p *pending) {
	name := [2]string{p.doc.JobID, p.doc.ID}
	if same := b.named[name]; same != nil {
		same.doc = same.doc.merged(p.doc)
		same.done = append(same.done, p.done...)
		return
	}
	b.named[name] = p
	b.list = append(b.list, p)
	b.bytes += p.doc.size
}

// write commits a batch. One that is refused is split until what is at fault is
// alone; the rest is written.
func (b *Batcher) write(ctx context.Context, batch []*pending) {
	docs := make([]*Document, len(batch))
	for i, p := range batch {
		docs[i] = p.doc
	}
	b.metrics.size.Observe(float64(len(docs)))
	err := b.cfg.Guard(ctx, func(ctx context.Context) error { return b.store.Commit(ctx, docs) })
	if resilience.IsPermanent(err) && len(batch) > 1 {
		half := len(batch) / 2
		b.write(ctx, batch[:half])
		b.write(ctx, batch[half:])
		return
	}
	result := "stored"
	switch {
	case resilience.IsPermanent(err):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	b.metrics.documents.WithLabelValues(result).Add(float64(len(batch)))
	for _, p := range batch {
		for _, done := range p.done {
			done <- err
		}
	}
}

package relay

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Outbox is where the entries are.
type Outbox interface {
	PendingEntries(ctx context.Context, after string, limit int) (jobstore.OutboxPage, error)
	DeleteEntries(ctx context.Context, ids []string) error
}

// Publisher sends a message and returns nil once it is confirmed; a permanent
// error says that it can never be sent.
type Publisher interface {
	PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error
}

// Config tunes a relay. Zero values take the defaults.
type Config struct {
	// Workers is how many entries are published at once; 64 by default, as each
	// mostly waits for its batch.
	Workers int
	// Queue is how many entries may wait for a worker; 4,096 by default.
	Queue int
	// SweepEvery is the time between sweeps; a minute by default. Below zero Run
	// does not sweep: whoever runs the relay calls Sweep when it is time.
	SweepEvery time.Duration
	// MinAge is how old an entry must be before a sweep sends it: younger ones
	// are most likely on their way. 30 s by default.
	MinAge time.Duration
	// Page is how many entries a sweep reads at once; 300 by default and at most,
	// the number that can be deleted at once.
	Page int
	// DeleteDelay is how long a published entry waits to be deleted together
	// with others; 200 ms by default.
	DeleteDelay time.Duration
	// Drain is how long Run goes on with what is queued after its context has
	// ended; 5 s by default.
	Drain time.Duration
	// Now replaces time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	setDuration := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.Workers, 64)
	set(&c.Queue, 4096)
	set(&c.Page, jobstore.MaxDeletes)
	c.Page = min(c.Page, jobstore.MaxDeletes)
	if c.SweepEvery == 0 {
		c.SweepEvery = time.Minute
	}
	setDuration(&c.MinAge, 30*time.Second)
	setDuration(&c.DeleteDelay, 200*time.Millisecond)
	setDuration(&c.Drain, 5*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Relay sends outbox entries. It is safe for use by many goroutines.
type Relay struct {
	cfg       Config
	outbox    Outbox
	publisher Publisher
	metrics   *metrics
	log       zerolog.Logger

	queue     chan jobstore.Entry
	published chan string

	mu sync.Mutex
	// closed says that queue is closed.
	closed bool
	// inHand are the entries that were offered and are not yet deleted or given
	// up, so that a sweep beside a slow publish does not send them twice.
	inHand map[string]struct{}
	// oldest is the age of the oldest entry that the last whole sweep left, at
	// sweptAt.
	oldest  time.Duration
	sweptAt time.Time
}

// New returns a relay; Run makes it work.
func New(outbox Outbox, publisher Publisher, cfg Config, reg prometheus.Registerer, log zerolog.Logger) *Relay {
	cfg = cfg.withDefaults()
	return &Relay{
		cfg: cfg, outbox: outbox, publisher: publisher, metrics: newMetrics(reg), log: log,
		queue: make(chan jobstore.Entry, cfg.Queue), published: make(chan string, cfg.Queue),
		inHand: map[string]struct{}{}, sweptAt: cfg.Now(),
	}
}

// Offer gives entries that have just been committed to the relay, which sends
// them in the background. It never blocks; what finds no room is left to the sweep.
func (r *Relay) Offer(entries []jobstore.Entry) {
	if len(entries) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range entries {
		if r.closed {
			r.metrics.left.WithLabelValues(leftClosed).Inc()
			continue
		}
		select {
		case r.queue <- entries[i]:
			r.inHand[entries[i].ID] = struct{}{}
		default:
			r.metrics.left.WithLabelValues(leftFull).Inc()
		}
	}
}

// Run works until ctx ends and then, for Config.Drain at most, sends what is
// queued. Whoever offers entries should have ended before. It may be called once.
func (r *Relay) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers, deleter sync.WaitGroup
	for range r.cfg.Workers {
		workers.Go(func() { r.publishQueued(work) })
	}
	deleter.Go(func() { r.deletePublished(work) })
	if r.cfg.SweepEvery > 0 {
		r.sweepUntilDone(ctx)
	}
	<-ctx.Done()

	r.mu.Lock()
	r.closed = true
	close(r.queue)
	r.mu.Unlock()
	defer time.AfterFunc(r.cfg.Drain, stop).Stop()
	workers.Wait()
	close(r.published)
	deleter.Wait()
	return nil
}

func (r *Relay) publishQueued(ctx context.Context) {
	for e := range r.queue {
		if ctx.Err() != nil {
			r.metrics.left.WithLabelValues(leftClosed).Inc()
			r.release(e.ID)
			continue
		}
		if r.publish(ctx, &e, viaCommit) != nil {
			r.metrics.left.WithLabelValues(leftFailed).Inc()
			r.release(e.ID)
			continue
		}
		r.published <- e.ID
	}
}

// publish returns nil when the entry is done with: confirmed, or refused for
// good, in which case no retry could ever send it.
func (r *Relay) publish(ctx context.Context, e *jobstore.Entry, via string) error {
	err := r.publisher.PublishRaw(ctx, e.Topic, e.Payload, e.Attributes)
	switch {
	case err == nil:
		r.metrics.published.WithLabelValues(via).Inc()
		r.metrics.seconds.Observe(max(0, r.cfg.Now().Sub(e.CreatedAt).Seconds()))
		return nil
	case resilience.IsPermanent(err):
		r.metrics.refused.Inc()
		r.log.Error().Err(err).Str("event_id", e.ID).Str("job_id", e.Attributes["job_id"]).
			Str("topic", e.Topic).Msg("outbox entry can never be sent and is dropped")
		return nil
	default:
		// Counted, and said once by the sweep: an outage would fill the log.
		r.log.Debug().Err(err).Str("event_id", e.ID).Str("topic", e.Topic).Msg("outbox entry stays for the sweep")
		return err
	}
}

// deletePublished deletes in batches: one call for many entries, where a call
// for each would cost the status path as much again.
func (r *Relay) deletePublished(ctx context.Context) {
	for first := range r.published {
		ids := r.gather(first)
		if err := r.outbox.DeleteEntries(ctx, ids); err != nil {
			// The sweep sends them again, under the same ids.
			r.metrics.left.WithLabelValues(leftDelete).Add(float64(len(ids)))
			r.log.Warn().Err(err).Int("entries", len(ids)).Msg("published outbox entries were not deleted")
		}
		r.release(ids...)
	}
}

// gather waits a moment for more ids to delete together with the first.
func (r *Relay) gather(first string) []string {
	ids := []string{first}
	timer := time.NewTimer(r.cfg.DeleteDelay)
	defer timer.Stop()
	for len(ids) < jobstore.MaxDeletes {
		select {
		case id, ok := <-r.published:
			if !ok {
				return ids
			}
			ids = append(ids, id)
		case <-timer.C:
			return ids
		}
	}
	return ids
}

func (r *Relay) release(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.inHand, id)
	}
}

func (r *Relay) isInHand(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.inHand[id]
	return ok
}

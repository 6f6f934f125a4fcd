package watermark

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// queue holds the facts and knows what is pending.
type queue interface {
	Leads() bool
	Lead()
	Stand()
	Known(stored fact.Levels)
	Watermark() fact.Levels
}

const (
	// saveEvery is the least time between two writes.
	saveEvery = time.Second
	// callTimeout bounds one call of the API server.
	callTimeout = 5 * time.Second
	// loadPatience is how long a new leader tries to read the watermark before it
	// goes on with what it knew: to publish too much is better than not to.
	loadPatience = 10 * time.Second
)

// Keeper moves watermarks between the store and the queue: a leader saves its
// own, a process on standby reads the leader's and drops what it covers.
type Keeper struct {
	queue   queue
	log     zerolog.Logger
	saves   *prometheus.CounterVec
	savedAt prometheus.Gauge

	mu    sync.Mutex // guards store, which is for one at a time
	store *Store
}

// NewKeeper returns a Keeper.
func NewKeeper(store *Store, q queue, reg prometheus.Registerer, log zerolog.Logger) *Keeper {
	k := &Keeper{
		queue: q, store: store, log: log,
		saves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_watermark_saves_total",
			Help: "Saves of the watermark, by outcome; one that fails makes a restart publish more again.",
		}, []string{"outcome"}),
		savedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_watermark_saved_timestamp_seconds",
			Help: "When the watermark was last saved or found unchanged, as Unix time; 0 before the first time.",
		}),
	}
	for _, outcome := range []string{"ok", "failed"} {
		k.saves.WithLabelValues(outcome)
	}
	reg.MustRegister(k.saves, k.savedAt)
	return k
}

// Load reads the watermark and gives it to the queue.
func (k *Keeper) Load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	levels, err := k.store.Load(ctx)
	if err == nil {
		k.queue.Known(levels)
	}
	return err
}

// Lead reads what the leader before has published, drops it, and makes the queue
// send the rest. It does nothing once ctx is done.
func (k *Keeper) Lead(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	for {
		err := k.Load(patience)
		if err == nil || ctx.Err() != nil {
			break
		}
		k.log.Warn().Err(err).Msg("the watermark cannot be read")
		if !sleep(patience, saveEvery) {
			break
		}
	}
	if ctx.Err() == nil {
		k.queue.Lead()
		k.log.Info().Msg("leading: publishing what is above the watermark")
	}
}

// Stand makes the queue hold everything back.
func (k *Keeper) Stand() {
	if k.queue.Leads() {
		k.log.Info().Msg("no longer leading: holding everything back")
	}
	k.queue.Stand()
}

// Run saves or reads the watermark until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for sleep(ctx, saveEvery) {
		if k.queue.Leads() {
			k.save(ctx)
		} else if err := k.Load(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn().Err(err).Msg("the leader's watermark cannot be read; keeping what it may have published")
		}
	}
	return nil
}

// Close saves the watermark for the last time, once nothing more is published.
func (k *Keeper) Close(ctx context.Context) {
	if k.queue.Leads() && !k.save(ctx) && ctx.Err() == nil {
		k.save(ctx)
	}
}

func (k *Keeper) save(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.store.Save(ctx, k.queue.Watermark()); err != nil {
		k.saves.WithLabelValues("failed").Inc()
		k.log.Warn().Err(err).Msg("the watermark was not saved")
		return false
	}
	k.saves.WithLabelValues("ok").Inc()
	k.savedAt.SetToCurrentTime()
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package resilience

import (
	"context"
	"time"
)

// probeTimeout bounds a probe: it has the one turn that an open breaker gives.
const probeTimeout = 5 * time.Second

// ProbeInSilence has the dependency probed while the breaker is not closed and
// nobody has called it for BreakerConfig.ProbeAfter, until ctx ends. A breaker
// learns from calls alone: one whose callers have nothing more to do would stay
// open for ever. Who calls knows better, as a probe can hardly do the very thing
// that failed: so it stays away while anybody does. It returns at once and is
// called once for a breaker.
func (b *Breaker) ProbeInSilence(ctx context.Context, probe func(ctx context.Context) error) {
	go func() {
		for b.awaitSilence(ctx) {
			b.probe(ctx, probe)
		}
	}()
}

func (b *Breaker) probe(ctx context.Context, probe func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	b.mu.Lock()
	b.probed = time.Now()
	b.mu.Unlock()
	_ = b.do(ctx, probe) // the breaker has taken note of it
}

// awaitSilence returns true when it is time for a probe, false when ctx is done.
func (b *Breaker) awaitSilence(ctx context.Context) bool {
	for {
		changed, broken, delay := b.silence()
		var due <-chan time.Time // never, while all is well
		if broken {
			if delay <= 0 {
				return ctx.Err() == nil
			}
			due = time.After(delay)
		}
		select {
		case <-due:
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// silence returns how long to wait at least before a probe, and a channel that
// is closed when the state changes. Turns that Wait has given do not count: who
// uses his calls.
func (b *Breaker) silence() (changed <-chan struct{}, broken bool, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	quiet := time.Since(b.made) - time.Duration(b.called.Load())
	delay = max(b.cb.RemainingDelay(), b.cfg.ProbeAfter-quiet, b.cfg.OpenFor-time.Since(b.probed))
	return b.changed, !b.cb.IsClosed(), delay
}

package messaging

import (
	"context"
	"sync"
	"time"
)

// readyTimeout bounds the look-up that Ready makes: others wait for its word.
const readyTimeout = 2 * time.Second

// fault is the newest answer of Pub/Sub, where that was an outage.
type fault struct {
	topic string
	err   error

	mu sync.Mutex
	// probeAt is from when Ready may look the topic up.
	probeAt time.Time
}

// due reports whether the topic is to be looked up now, and gives whoever asks
// next OutageRetryDelay to wait.
func (f *fault) due(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.probeAt) {
		return false
	}
	f.probeAt = now.Add(OutageRetryDelay)
	return true
}

// Ready is an error while the newest answer of Pub/Sub was an outage. If nothing
// has been published for PublisherConfig.ProbeAfter since, no answer would ever
// end it: then Ready looks the topic up, and that it is there counts as one.
func (p *Publisher) Ready(ctx context.Context) error {
	f := p.broken.Load()
	if f == nil {
		return nil
	}
	if p.pending.Load() > 0 || !f.due(time.Now()) {
		return f.err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	// A publish that fails meanwhile knows better.
	if p.Check(ctx, f.topic) != nil || !p.broken.CompareAndSwap(f, nil) {
		return f.err
	}
	return nil
}

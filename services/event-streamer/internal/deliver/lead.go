package deliver

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// Lead makes the queue send what it holds, and what comes.
func (q *Queue) Lead() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.leads {
		q.leads = true
		q.attempted = time.Now()
		close(q.lead)
		q.metrics.leader.Set(1)
	}
}

// Stand makes the queue hold everything back. What is being sent may still
// arrive, which is harmless: another process gives it the same id.
func (q *Queue) Stand() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leads {
		q.leads = false
		q.lead = make(chan struct{})
		q.metrics.leader.Set(0)
	}
}

// Leads reports whether the queue sends.
func (q *Queue) Leads() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leads
}

// admit waits until the queue leads; it fails only when ctx is done.
func (q *Queue) admit(ctx context.Context) error {
	q.mu.Lock()
	lead := q.lead
	q.mu.Unlock()
	select {
	case <-lead:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to lead: %w", context.Cause(ctx))
	}
}

// Known takes a watermark that was stored: all that it covers is published and
// is dropped here, now and when it comes.
func (q *Queue) Known(stored fact.Levels) {
	q.mu.Lock()
	q.base = maps.Clone(stored)
	if q.base == nil {
		q.base = fact.Levels{}
	}
	base := q.base
	busy := maps.Clone(q.busy)
	q.mu.Unlock()
	for uid := range busy {
		q.change(uid, func(e *entry) { q.metrics.skipped.Add(float64(e.prune(base))) })
	}
}

// Listed says that a complete list of a stream is about to be handed over, and
// its resource version. A watermark above it is of another cluster, or of this
// one before it was restored from a backup: it is dropped.
func (q *Queue) Listed(s fact.Stream, version uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if level := q.base[s]; level > version {
		q.log.Warn().Str("stream", string(s)).Uint64("watermark", level).Uint64("resource_version", version).
			Msg("the watermark is ahead of the cluster; publishing all of it again")
		q.base = maps.Clone(q.base)
		maps.DeleteFunc(q.base, func(other fact.Stream, _ uint64) bool { return other.Namespace() == s.Namespace() })
	}
	if q.reached[s] > version {
		// The cluster went back under a running process.
		delete(q.reached, s)
	}
}

// Reached says that every change of a stream up to a resource version has been
// handed over.
func (q *Queue) Reached(s fact.Stream, version uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reached[s] = max(q.reached[s], version)
}

// Watermark is the highest level of each stream up to which everything has been
// handed over and nothing is pending. A namespace keeps the level that was
// loaded until this process's own is as high in all of its streams: one claim
// must not be pieced together of two, since what follows from a Job and a Pod
// may be in neither.
func (q *Queue) Watermark() fact.Levels {
	q.mu.Lock()
	defer q.mu.Unlock()
	levels := maps.Clone(q.reached)
	for _, e := range q.busy {
		for _, w := range e.pending {
			for _, m := range w.marks {
				levels.Lower(m)
			}
		}
		if e.judge != nil {
			levels.Lower(e.gone)
		}
	}
	behind := map[string]bool{}
	for s, known := range q.base {
		if levels[s] < known {
			behind[s.Namespace()] = true
		}
	}
	maps.DeleteFunc(levels, func(s fact.Stream, _ uint64) bool { return behind[s.Namespace()] })
	for s, known := range q.base {
		if behind[s.Namespace()] {
			levels[s] = known
		}
	}
	return levels
}

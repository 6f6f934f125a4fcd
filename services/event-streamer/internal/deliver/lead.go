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
		q.topics = topics{}
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
	q.base = q.believed(stored)
	base := q.base
	busy := maps.Clone(q.busy)
	q.mu.Unlock()
	for uid := range busy {
		q.change(uid, func(e *entry) { q.metrics.skipped.Add(float64(e.prune(base))) })
	}
}

// wentBack is what is known of a stream whose versions went back, the cluster having
// been restored from a backup.
type wentBack struct {
	// listed is the version of the list that showed it: up to there nothing changed.
	listed uint64
	// old is the last level seen that is of the cluster before it was restored.
	old uint64
}

// believed leaves out of a stored watermark what is not about the cluster as it is
// now; the lock is held. A leader that has not noticed yet that its cluster went back
// goes on to store levels of before, and they stay when it dies.
//
// A level is of after that when it is lower than those, or one that this process has
// reached itself. One above both may be of a leader that is merely ahead: that is
// found out as soon as this process is there too, and lower is always safe.
func (q *Queue) believed(stored fact.Levels) fact.Levels {
	base := fact.Levels{}
	maps.Copy(base, stored)
	for s, b := range q.back {
		switch level := stored[s]; {
		case level <= b.listed:
		case level == b.old, level > b.old && level > q.reached[s]:
			b.old = level
			q.back[s] = b
			without(base, s)
		default:
			delete(q.back, s)
		}
	}
	return base
}

// without drops the levels of the namespace of a stream.
func without(levels fact.Levels, s fact.Stream) {
	maps.DeleteFunc(levels, func(other fact.Stream, _ uint64) bool { return other.Namespace() == s.Namespace() })
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
		without(q.base, s)
		q.back[s] = wentBack{listed: version, old: level}
	}
	if q.reached[s] > version {
		// The cluster went back under a running process.
		delete(q.reached, s)
		if q.back[s].listed != version {
			q.back[s] = wentBack{listed: version, old: version}
		}
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

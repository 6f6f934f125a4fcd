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
		q.topics = topics{}
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

// Stored is the level of a stream in the watermark that was taken last, as far as it
// is believed.
func (q *Queue) Stored(s fact.Stream) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.base[s]
}

// Listed says that a complete list of a stream is about to be handed over, its
// resource version, and what Stored said before the list was asked for. If that, or
// what this process has reached, is above the version, the cluster was restored from a
// backup, or is another: the watermark is dropped. A level that is above it only now
// is of a leader that has gone on since.
func (q *Queue) Listed(s fact.Stream, version, stored uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	reached, level := q.reached[s], q.base[s]
	if max(stored, reached) <= version {
		return
	}
	if reached > version {
		delete(q.reached, s)
	}
	if version < level && level < stored {
		return // the leader has noticed before this process
	}
	if level > version {
		q.log.Warn().Str("stream", string(s)).Uint64("watermark", level).Uint64("resource_version", version).
			Msg("the watermark is ahead of the cluster; publishing all of it again")
		q.base = maps.Clone(q.base)
		without(q.base, s)
	}
	q.back[s] = wentBack{listed: version, old: max(version, level, stored)}
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

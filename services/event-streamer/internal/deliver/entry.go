package deliver

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// entry is what is known of one Job by its UID.
type entry struct {
	// live says that the Job is still watched.
	live bool
	// judge is to be asked what the Job's deletion means; gone marks the deletion.
	judge Judge
	gone  fact.Mark
	// judgement tells one deletion from the next.
	judgement int
	// pending are the facts to be confirmed, oldest first.
	pending []waiting
	// done are the facts that were confirmed, by the hash of their keys, sorted:
	// eight bytes each, since a cluster holds many ended Jobs for long, and found
	// quickly, since one Job can have 100,000 pods.
	done []uint64
	// since is from when on the entry has had something to do.
	since time.Time
}

type waiting struct {
	fact.Fact
	hash  uint64
	seen  time.Time
	marks []fact.Mark
}

func (e *entry) busy() bool { return len(e.pending) > 0 || e.judge != nil }

// keep adds the facts that are news; the lock is held. What the watermark covers
// was published by whoever wrote it, and is remembered as if it had been here.
func (q *Queue) keep(e *entry, facts []fact.Fact, marks []fact.Mark) {
	covered := q.base.Covers(marks)
	for _, f := range facts {
		h := maphash.String(q.seed, f.Key())
		if _, known := slices.BinarySearch(e.done, h); known {
			continue
		}
		switch {
		case slices.ContainsFunc(e.pending, func(w waiting) bool { return w.hash == h }):
			// The change that it followed from first is the one that counts.
		case covered:
			e.remember(h)
			q.metrics.skipped.Inc()
		default:
			e.pending = append(e.pending, waiting{Fact: f, hash: h, seen: time.Now(), marks: slices.Clone(marks)})
		}
	}
}

// remember notes a fact as confirmed.
func (e *entry) remember(hash uint64) {
	if at, known := slices.BinarySearch(e.done, hash); !known {
		e.done = slices.Insert(e.done, at, hash)
	}
}

// batch returns up to n pending facts, claims before phases: many phases that
// cannot be published must not stand before what is true of the job.
func (e *entry) batch(n int) []waiting {
	batch := make([]waiting, 0, min(len(e.pending), n))
	for _, phases := range []bool{false, true} {
		for i := range e.pending {
			if len(batch) < n && phases == (e.pending[i].Kind() == fact.KindPhase) {
				batch = append(batch, e.pending[i])
			}
		}
	}
	return batch
}

// prune drops what a watermark has come to cover.
func (e *entry) prune(base fact.Levels) (facts int) {
	covered := map[uint64]bool{}
	for _, w := range e.pending {
		if base.Covers(w.marks) {
			covered[w.hash] = true
		}
	}
	if len(covered) > 0 {
		e.settle(covered)
	}
	if e.judge != nil && base.Covers([]fact.Mark{e.gone}) {
		e.judge = nil
	}
	return len(covered)
}

// settle takes what was confirmed, or refused for good, out of pending.
func (e *entry) settle(settled map[uint64]bool) {
	kept := e.pending[:0]
	for _, w := range e.pending {
		if settled[w.hash] {
			e.remember(w.hash)
		} else {
			kept = append(kept, w)
		}
	}
	clear(e.pending[len(kept):])
	if e.pending = kept; len(kept) == 0 {
		// The room that it took is let go with the facts.
		e.pending, e.done = nil, slices.Clip(e.done)
	}
}

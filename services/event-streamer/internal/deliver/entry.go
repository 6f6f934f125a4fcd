package deliver

import (
	"cmp"
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
	// pending are the facts to be confirmed, oldest first; phases counts the phases.
	pending []waiting
	phases  int
	// done are the facts that were confirmed, by the hash of their keys, sorted:
	// eight bytes each, since a cluster holds many ended Jobs for long, and found
	// quickly, since one Job can have 100,000 pods.
	done []uint64
	// since is from when on the entry has had something to do.
	since time.Time
	// over says that the end of the Job has been said.
	over bool
}

type waiting struct {
	fact.Fact
	hash  uint64
	seen  time.Time
	marks []fact.Mark
	// number orders facts by when they came.
	number uint64
	// joined are the facts that go with this one, by their hashes.
	joined []uint64
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
			e.over = e.over || f.Ends()
			q.metrics.skipped.Inc()
		default:
			q.came++
			e.pending = append(e.pending, waiting{Fact: f, hash: h, seen: time.Now(), marks: slices.Clone(marks), number: q.came})
			if f.Kind() == fact.KindPhase {
				e.phases++
			}
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
//
// A fact that waits does so as long as left says, for what follows mostly says both
// (see fact.Waits): the record is then written once, and the user told once. held is
// how long until the first that waits is due, 0 when none does.
func (e *entry) batch(n int, left func(waiting) time.Duration) (batch []waiting, held time.Duration) {
	var claims, phases []waiting
	joined := e.joined()
	for _, w := range e.pending {
		switch {
		case joined[w.hash]:
			continue
		case w.Kind() == fact.KindPhase:
			phases = append(phases, w)
			continue
		case w.Waits() && !e.over:
			if wait := left(w); wait > 0 {
				held = min(cmp.Or(held, wait), wait)
				continue
			}
		case w.Kind() == fact.KindStatus:
			w = e.join(w)
		}
		claims = append(claims, w)
	}
	batch = slices.Concat(claims, phases)
	return batch[:min(n, len(batch))], held
}

// join lets a status say also what waits.
func (e *entry) join(w waiting) waiting {
	for i := range e.pending {
		if both, ok := w.With(e.pending[i].Fact); ok {
			w.Fact = both
			w.joined = append(w.joined, e.pending[i].hash)
		}
	}
	return w
}

// joined are the facts that go with another, by their hashes.
func (e *entry) joined() map[uint64]bool {
	joined := map[uint64]bool{}
	for _, w := range e.pending {
		if w.Kind() == fact.KindStatus {
			for _, h := range e.join(w).joined {
				joined[h] = true
			}
		}
	}
	return joined
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
			e.over = e.over || w.Ends()
			if w.Kind() == fact.KindPhase {
				e.phases--
			}
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

package deliver

import (
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// phasePatience is for how long no phase can have been published before any is
// dropped: a hiccup while a long list is read costs none.
const phasePatience = time.Minute

// topics says which of the two kinds of facts cannot be published.
type topics struct {
	claimsDown bool
	// phasesDown is since when; zero while phases can be.
	phasesDown time.Time
}

// hear takes what became of a batch.
func (t *topics) hear(batch []waiting, errs []error) {
	var claims, phases struct{ through, failed bool }
	for i, err := range errs {
		kind := &claims
		if batch[i].Kind() == fact.KindPhase {
			kind = &phases
		}
		if err == nil || resilience.IsPermanent(err) {
			kind.through = true
		} else {
			kind.failed = true
		}
	}
	t.claimsDown = !claims.through && (t.claimsDown || claims.failed)
	switch {
	case phases.through:
		t.phasesDown = time.Time{}
	case phases.failed && t.phasesDown.IsZero():
		t.phasesDown = time.Now()
	}
}

// shed gives up the oldest phases when they alone cannot be published, their topic
// being gone or forbidden, and take half the room: a timeline with gaps is better than
// jobs of which nobody hears. The other half is for a process on standby, which keeps
// the claims beside them until the watermark has passed both.
//
// The watermark passes what is dropped. Held below it until a restart, it would stand
// still for good, and a standby would fill up with all that follows. What an object
// says of it again with its next change is published then; the rest is counted, and
// for --resync. The lock is held.
func (q *Queue) shed() {
	limit := max(1, q.cfg.MaxPending/2)
	if q.phases <= limit || !q.leads || q.flushing || q.topics.claimsDown ||
		q.topics.phasesDown.IsZero() || time.Since(q.topics.phasesDown) < phasePatience {
		return
	}
	phases := make([]uint64, 0, q.phases)
	for _, e := range q.busy {
		for _, w := range e.pending {
			if w.Kind() == fact.KindPhase {
				phases = append(phases, w.number)
			}
		}
	}
	slices.Sort(phases)
	// More than need be, so that not each that comes makes all be looked at.
	n := len(phases) - (limit - limit/4)
	for uid := range q.busy {
		q.edit(uid, func(e *entry) { e.drop(phases[n-1]) })
	}
	q.dropped += n
	q.metrics.dropped.Add(float64(n))
	q.log.Warn().Int("phases", n).Time("down_since", q.topics.phasesDown).
		Msg("phases cannot be published; the oldest are dropped: once they can be, run --resync")
}

// drop gives up the phases that came no later than one of that number. They are not
// remembered: what the object says again is news.
func (e *entry) drop(number uint64) {
	had := len(e.pending)
	e.pending = slices.DeleteFunc(e.pending, func(w waiting) bool {
		return w.Kind() == fact.KindPhase && w.number <= number
	})
	if e.phases -= had - len(e.pending); len(e.pending) == 0 {
		e.pending = nil
	}
}

package job

import "time"

// View is what a record says to a reader: the status with the cause and the
// marks that count for it.
type View struct {
	// State is PENDING when nothing is known of the status yet.
	State    State
	Evidence Evidence
	// Final says that no later claim of this life can reopen the job.
	Final     bool
	StageDone bool
	Attempt   int32
	Ordinal   int32
	// Stage is empty when no claim named one.
	Stage string
	// OccurredAt is when the state became true.
	OccurredAt time.Time
	// Detail is what was seen that led to a verdict.
	Detail string
	// Cause is set only when the job failed or was cancelled, and only from the
	// life that did.
	Cause CauseDetail
	// Delayed says that the job waits for room; DelayReason why.
	Delayed     bool
	DelayReason string
	// Vanished says that its Kubernetes Job is gone and nobody saw the end.
	Vanished bool
}

// View projects the record.
func (r *Record) View() View {
	s := &r.Status
	v := View{
		State: s.State, Evidence: s.Evidence, Final: s.final(), StageDone: s.StageDone,
		Attempt: s.Attempt, Ordinal: s.Ordinal, Stage: s.Stage,
		OccurredAt: s.OccurredAt, Detail: s.Detail,
	}
	if s.State == StateUnspecified {
		v.begin(r)
	}
	if (s.State == StateFailed || s.State == StateCancelled) && r.Cause.Life == s.Life {
		v.Cause = r.Cause.CauseDetail
	}
	if !Terminal(s.State) {
		if v.Delayed = r.Delayed.counts(s); v.Delayed {
			v.DelayReason = r.Delayed.Reason
		}
		v.Vanished = r.Vanished.counts(s)
	}
	return v
}

// begin fills the view of a record whose status nobody has claimed yet from
// the furthest life that a claim of another kind named.
func (v *View) begin(r *Record) {
	life, at := r.Cause.Life, r.Cause.OccurredAt
	for _, m := range [...]*Mark{&r.Delayed, &r.Vanished} {
		if compareLife(&m.Life, &life) > 0 {
			life, at = m.Life, m.OccurredAt
		}
	}
	v.State, v.OccurredAt = StatePending, at
	v.Attempt, v.Ordinal, v.Stage = life.Attempt, life.Ordinal, life.Stage
}

// counts reports whether the mark is set and nothing later is known of its
// attempt. A status of the same moment does not outdate it: Kubernetes gives
// whole seconds.
func (m *Mark) counts(s *Status) bool {
	if !m.Set || m.Attempt < s.Attempt {
		return false
	}
	c := compareLife(&m.Life, &s.Life)
	return c > 0 || c == 0 && !m.OccurredAt.Before(s.OccurredAt)
}

// lives orders bare lives.
var lives = lifeLevels(func(l *Life) *Life { return l }) //nolint:gochecknoglobals // a constant that Go cannot spell as one

func compareLife(a, b *Life) int { return lives.compare(a, b) }

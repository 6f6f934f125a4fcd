package timeline

import "strings"

// stopOf finds where the job stopped or, while it goes on, where it is. The
// record says in which attempt and stage; the phases say where in it, and in which
// stage where the record speaks of the whole job.
//
// Of a job that ended badly it is the phase that failed of the record's cause,
// else the last that failed there, else the last that never ended, else the last
// thing that is known there. Of one that goes on it is the phase that began last
// and is open.
func stopOf(s *Status, drafts []draft) *Stop {
	if !s.Known {
		return fromPhases(drafts)
	}
	if s.Terminal && s.State == "SUCCEEDED" {
		return nil
	}
	out := &Stop{Over: s.Terminal, Attempt: s.Attempt, Stage: s.Stage, At: s.At, Cause: s.Cause}
	if out.Stage == "" { // said of the whole job, such as a user's cancel
		if far := furthest(drafts, func(d *draft) bool { return d.attempt == s.Attempt && d.stage != "" }); far != nil {
			out.Stage = far.stage
		}
	}
	best := choose(drafts, func(d *draft) int {
		switch {
		case d.attempt != s.Attempt || d.stage != out.Stage:
			return 0
		case !s.Terminal:
			return openRank(d)
		default:
			return endRank(d, s.Cause)
		}
	})
	out.at(best)
	return out
}

// fromPhases is stopOf without a record: the furthest stage of the last attempt
// that anything is known of.
func fromPhases(drafts []draft) *Stop {
	far := furthest(drafts, func(*draft) bool { return true })
	if far == nil {
		return nil
	}
	out := &Stop{Attempt: far.attempt, Stage: far.stage}
	out.at(choose(drafts, func(d *draft) int {
		if d.attempt != far.attempt || d.stage != far.stage {
			return 0
		}
		return endRank(d, nil)
	}))
	return out
}

// furthest is the first of the drafts that are furthest in the pipeline; nil when none
// counts.
func furthest(drafts []draft, counts func(*draft) bool) *draft {
	var far *draft
	for i := range drafts {
		d := &drafts[i]
		if counts(d) && (far == nil || d.attempt > far.attempt || d.attempt == far.attempt && d.ordinal > far.ordinal) {
			far = d
		}
	}
	return far
}

func (s *Stop) at(d *draft) {
	if d == nil {
		return
	}
	s.SpanID, s.Phase = d.span.ID, d.span.Name
	if s.Cause == nil {
		s.Cause = d.span.Cause
	}
	if !s.Over {
		s.At = d.span.Start
	}
}

// choose returns the draft of the highest rank, of several the one that ended
// last; nil when all rank 0.
func choose(drafts []draft, rank func(*draft) int) *draft {
	var best *draft
	most := 0
	for i := range drafts {
		d := &drafts[i]
		r := rank(d)
		if r == 0 || r < most {
			continue
		}
		if best == nil || r > most || later(d, best) {
			best, most = d, r
		}
	}
	return best
}

func later(a, b *draft) bool {
	if c := a.span.End.Compare(b.span.End); c != 0 {
		return c > 0
	}
	return strings.Compare(a.span.ID, b.span.ID) > 0
}

func openRank(d *draft) int {
	switch {
	case d.open:
		return 2
	case d.span.Moment:
		return 0
	default:
		return 1
	}
}

func endRank(d *draft, cause *Cause) int {
	failed := d.span.State == StateFailed
	switch {
	case failed && cause != nil && d.span.Cause != nil && d.span.Cause.Cause == cause.Cause:
		return 5
	case failed:
		return 4
	case d.open:
		return 3
	case !d.span.Moment:
		return 2
	default:
		return 1
	}
}

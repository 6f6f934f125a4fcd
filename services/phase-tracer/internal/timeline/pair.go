package timeline

import (
	"slices"
	"time"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// key is what the events of one phase have in common.
type key struct {
	attempt  int32
	stage    string
	name     string
	sequence int64
}

func (e *event) key() key {
	return key{e.GetAttempt(), e.GetStage().GetName(), e.GetName(), e.GetSequence()}
}

// draft is a span that is being put together, with its place.
type draft struct {
	span    Span
	attempt int32
	stage   string
	ordinal int32
	open    bool
}

// pair makes spans of the started, progressed and ended events of one key, all in
// the order of time.
//
// With as many starts as ends the first belongs to the first, the second to the
// second: so one start and one end are a pair though the clocks say otherwise.
// Else an end closes the oldest phase that is open at its time; an end that finds
// none has lost its start.
func pair(group []event) []draft {
	var starts, ends, progress []*event
	for i := range group {
		switch group[i].kind {
		case kindStarted:
			starts = append(starts, &group[i])
		case kindEnded:
			ends = append(ends, &group[i])
		default:
			progress = append(progress, &group[i])
		}
	}
	pairs := inOrder(starts, ends)
	if len(starts) != len(ends) {
		pairs = byTime(starts, ends)
	}
	if len(pairs) == 0 {
		pairs = [][2]*event{{}} // progress alone
	}
	out := make([]draft, len(pairs))
	for i, p := range pairs {
		until := time.Time{}
		if i+1 < len(pairs) {
			until = first(pairs[i+1])
		}
		var told []*event
		told, progress = before(progress, until)
		out[i] = drafted(p[0], p[1], told)
		if len(pairs) > 1 {
			out[i].span.Marks = append(out[i].span.Marks, MarkRepeated)
		}
	}
	return out
}

func inOrder(starts, ends []*event) [][2]*event {
	var pairs [][2]*event
	for i := range min(len(starts), len(ends)) {
		pairs = append(pairs, [2]*event{starts[i], ends[i]})
	}
	return pairs
}

func byTime(starts, ends []*event) [][2]*event {
	pairs := make([][2]*event, 0, max(len(starts), len(ends)))
	next := 0
	for _, end := range ends {
		if next < len(starts) && !starts[next].at.After(end.at) {
			pairs = append(pairs, [2]*event{starts[next], end})
			next++
			continue
		}
		pairs = append(pairs, [2]*event{nil, end})
	}
	for _, start := range starts[next:] {
		pairs = append(pairs, [2]*event{start, nil})
	}
	slices.SortStableFunc(pairs, func(a, b [2]*event) int { return first(a).Compare(first(b)) })
	return pairs
}

func first(p [2]*event) time.Time {
	if p[0] != nil {
		return p[0].at
	}
	return p[1].at
}

// before splits off what was told before a moment; all of it for the zero time.
func before(progress []*event, until time.Time) (told, rest []*event) {
	if until.IsZero() {
		return progress, nil
	}
	i := slices.IndexFunc(progress, func(e *event) bool { return !e.at.Before(until) })
	if i < 0 {
		return progress, nil
	}
	return progress[:i], progress[i:]
}

// drafted is the span of a start and an end, one of which may be missing, and the
// progress that was told of it.
func drafted(start, end *event, progress []*event) draft {
	all := slices.Concat([]*event{start}, progress, []*event{end})
	all = slices.DeleteFunc(all, func(e *event) bool { return e == nil })
	head := all[0]
	d := draft{attempt: head.GetAttempt(), stage: head.GetStage().GetName(), ordinal: head.GetStage().GetOrdinal(), open: end == nil}
	s := &d.span
	s.ID, s.Name, s.Sequence = head.GetEventId(), head.GetName(), head.GetSequence()
	s.Start, s.End, s.State = head.at, all[len(all)-1].at, StateRunning
	for _, e := range all {
		s.tell(e)
	}
	if start == nil {
		s.Marks = append(s.Marks, MarkStartMissing)
	} else {
		s.Start, s.ReportedStart = start.at, start.at
	}
	if end != nil {
		s.ReportedEnd, s.State = end.at, outcome(end.GetEnded().GetOutcome())
		s.Cause = causeOf(end.GetEnded().GetCause())
		s.close(start, end)
	}
	if s.End.Before(s.Start) {
		s.End = s.Start // its progress was told before its start
	}
	return d
}

// close sets where an ended span is drawn and how long it took.
func (s *Span) close(start, end *event) {
	s.End = end.at
	if s.End.Before(s.Start) {
		s.End = s.Start
	}
	switch {
	case start == nil:
	case end.at.Before(start.at):
		s.Marks = append(s.Marks, MarkNegative)
	default:
		took := end.at.Sub(start.at)
		s.Duration = &took
	}
}

// tell adds what one of its events says beside its time.
func (s *Span) tell(e *event) {
	if e.GetMessage() != "" {
		s.Message = e.GetMessage()
	}
	if len(e.GetDetails()) > 0 {
		s.Details = e.GetDetails()
	}
	if p := e.GetProgressed(); p != nil {
		s.Progress = &Progress{At: e.at, Done: finite(p.GetDone()), Total: finite(p.GetTotal()), Unit: p.GetUnit()}
	}
	s.Witnesses = merge(s.Witnesses, e.witnesses)
	if e.ahead() > 0 && !s.Has(MarkClockAhead) {
		s.Marks = append(s.Marks, MarkClockAhead)
	}
}

// finite makes of what is no number, which JSON cannot hold, a zero.
func finite(f float64) float64 {
	if f-f != 0 {
		return 0
	}
	return f
}

func outcome(o resiliencyv1.PhaseOutcome) State {
	switch o {
	case resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED:
		return StateSucceeded
	case resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED:
		return StateFailed
	case resiliencyv1.PhaseOutcome_PHASE_OUTCOME_CANCELLED:
		return StateCancelled
	default:
		return StateEnded
	}
}

// place is a stage in an attempt.
type place struct {
	attempt int32
	stage   string
}

package timeline

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	// MaxSpans is how many spans are drawn: more than anybody reads.
	MaxSpans = 1000
	// clockTolerance is how far clocks may differ without a word: Kubernetes gives
	// whole seconds.
	clockTolerance = 2 * time.Second
	// farOff is how long before everything newest a time must lie to be taken for a clock that
	// was never set: no axis could show both.
	farOff = 31 * 24 * time.Hour
)

// Build makes the timeline of a job as of now. The same input gives the same
// timeline, in whatever order its parts come.
func Build(in *Input, now time.Time) Timeline {
	t := Timeline{JobID: in.JobID, BuiltAt: now, Status: statusOf(in.Record), Letters: slices.Clone(in.Letters)}
	t.Live = !t.Status.Terminal
	all := events(in.Phases)
	t.Updates = newest(sent(in.Updates), maxListed)
	t.sources(all, in.Updates)
	drafts := t.drafts(all)
	settle(drafts, &t.Status, now)
	t.Cut = Cut{Read: len(in.Phases) + len(in.Updates), Spans: len(drafts), OlderProgress: in.OlderProgress}
	t.Cut.Stored = max(in.Stored, t.Cut.Read)
	t.bounds(drafts, now)
	t.Stop = stopOf(&t.Status, drafts)
	drafts = cut(drafts, t.Stop, MaxSpans)
	t.Cut.Drawn = len(drafts)
	t.Cut.Text = t.Cut.sentence()
	t.lanes(drafts)
	t.finish()
	t.clocks(all)
	return t
}

// drafts makes spans of all events, phase by phase.
func (t *Timeline) drafts(all []event) []draft {
	groups := make(map[key][]event)
	var order []key
	out := make([]draft, 0, len(all))
	for i := range all {
		e := &all[i]
		if e.kind == kindMoment {
			out = append(out, t.moment(e))
			continue
		}
		k := e.key()
		if _, known := groups[k]; !known {
			order = append(order, k)
		}
		groups[k] = append(groups[k], *e)
	}
	for _, k := range order {
		out = append(out, pair(groups[k])...)
	}
	ordinals(out)
	return out
}

// ordinals gives a stage one ordinal, the lowest that anybody gave it: reporters
// that are not configured alike must not make two stages of one.
func ordinals(drafts []draft) {
	lowest := make(map[string]int32)
	for i := range drafts {
		d := &drafts[i]
		if o, known := lowest[d.stage]; !known || d.ordinal != 0 && (o == 0 || d.ordinal < o) {
			lowest[d.stage] = d.ordinal
		}
	}
	for i := range drafts {
		drafts[i].ordinal = lowest[drafts[i].stage]
	}
}

// settle says of each open phase whether it goes on, and where it is drawn to.
func settle(drafts []draft, s *Status, now time.Time) {
	last := make(map[place]time.Time)
	lane := func(d *draft) place { return place{d.attempt, d.stage} }
	for i := range drafts {
		if d := &drafts[i]; d.span.End.After(last[lane(d)]) {
			last[lane(d)] = d.span.End
		}
	}
	for i := range drafts {
		d := &drafts[i]
		if !d.open {
			continue
		}
		until := now
		if s.over(d.attempt, d.ordinal) {
			d.span.State = StateUnfinished
			d.span.Marks = append(d.span.Marks, MarkEndMissing)
			until = last[lane(d)]
			if s.Terminal && d.attempt == s.Attempt && d.ordinal == s.Ordinal && s.At.After(until) {
				until = s.At
			}
		}
		if until.After(d.span.End) {
			d.span.End = until
		}
	}
}

// bounds finds the time axis, and draws at its edge what lies far off.
func (t *Timeline) bounds(drafts []draft, now time.Time) {
	var end time.Time
	for i := range drafts {
		if drafts[i].span.End.After(end) {
			end = drafts[i].span.End
		}
	}
	oldest := end.Add(-farOff)
	for i := range drafts {
		if s := drafts[i].span.Start; s.After(oldest) && (t.Begin.IsZero() || s.Before(t.Begin)) {
			t.Begin = s
		}
	}
	for i := range drafts {
		s := &drafts[i].span
		if s.Start.After(oldest) {
			continue
		}
		s.Start = t.Begin
		if s.End.Before(t.Begin) {
			s.End = t.Begin
		}
		s.Duration = nil
		s.Marks = append(s.Marks, MarkFarOff)
	}
	t.End = end
	if t.Live && len(drafts) > 0 && now.After(end) {
		t.End = now
	}
}

// lanes puts the spans into their lanes.
func (t *Timeline) lanes(drafts []draft) {
	slices.SortFunc(drafts, func(a, b draft) int {
		return cmp.Or(cmp.Compare(a.attempt, b.attempt), cmp.Compare(a.ordinal, b.ordinal), strings.Compare(a.stage, b.stage),
			a.span.Start.Compare(b.span.Start), b.span.End.Compare(a.span.End), strings.Compare(a.span.Name, b.span.Name),
			cmp.Compare(a.span.Sequence, b.span.Sequence), strings.Compare(a.span.ID, b.span.ID))
	})
	t.Lanes = []Lane{}
	for i := range drafts {
		d := &drafts[i]
		l := t.lane(d)
		l.Spans = append(l.Spans, d.span)
		if d.span.Start.Before(l.Begin) {
			l.Begin = d.span.Start
		}
		if d.span.End.After(l.End) {
			l.End = d.span.End
		}
		l.State = worse(l.State, d.span.State)
	}
}

func (t *Timeline) lane(d *draft) *Lane {
	if n := len(t.Lanes); n > 0 {
		if l := &t.Lanes[n-1]; l.Attempt == d.attempt && l.Stage == d.stage {
			return l
		}
	}
	t.Lanes = append(t.Lanes, Lane{
		Attempt: d.attempt, Stage: d.stage, Ordinal: d.ordinal, Begin: d.span.Start, End: d.span.End, State: StateEnded,
	})
	return &t.Lanes[len(t.Lanes)-1]
}

// worse is what of two states a lane shows: moments do not count.
func worse(a, b State) State {
	rank := func(s State) int {
		return slices.Index([]State{StateEnded, StateUnfinished, StateRunning, StateFailed}, s)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// finish brings the lists into order and to size.
func (t *Timeline) finish() {
	slices.SortFunc(t.Letters, func(a, b Letter) int {
		return cmp.Or(a.FirstSeenAt.Compare(b.FirstSeenAt), strings.Compare(a.ID, b.ID))
	})
	t.Capsules = newest(t.Capsules, maxCapsules)
	t.Judgements = newest(t.Judgements, maxListed)
	t.Corrections = newest(t.Corrections, maxListed)
	t.Letters = newest(t.Letters, maxListed)
	t.Facts = newest(t.Facts, maxListed)
}

package chart

import (
	"time"

	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

const (
	// apart is up to how many spans of a lane have a row each; above it those of
	// one name share one.
	apart = 24
	// shown is how many rows of a lane are seen at once; the rest is folded away.
	shown = 30
	// least is the length of the shortest bar in percent, so that it is seen.
	least = 0.4
	// tracks is over how many lines the bars of one row spread where they overlap.
	tracks = 5
)

// Chart is a timeline laid out. The zero value is an empty one.
type Chart struct {
	// From and To bound the axis; Step is between two ticks.
	From, To time.Time
	Step     time.Duration
	Ticks    []Tick
	Lanes    []Lane
}

// Empty reports whether there is nothing to draw.
func (c *Chart) Empty() bool { return len(c.Lanes) == 0 }

// Lane is a stage in an attempt.
type Lane struct {
	Attempt    int32
	Stage      string
	State      timeline.State
	Begin, End time.Time
	// Spans is how many phases and moments it has.
	Spans int
	// Rows are what is seen at once, Folded the rest; both in the order of time.
	Rows, Folded []Row
}

// Took is how long the lane lasts so far.
func (l *Lane) Took() time.Duration { return l.End.Sub(l.Begin) }

// Row is a line of a lane with one phase, or all of one name.
type Row struct {
	Name  string
	State timeline.State
	// Number is that of its phase, of several the one to look at first: one that
	// failed, one that is open, the first.
	Number int
	// Count is how many phases it holds, Failed how many of them failed.
	Count, Failed int
	// Moment is true when nothing in it has a length.
	Moment bool
	// Took is how long it took, of several the longest; nil when not known.
	Took *time.Duration
	// Open says that it has not ended, OpenFor how long it has been open.
	Open    bool
	OpenFor time.Duration
	// Stop marks the phase where the job stopped.
	Stop bool
	// Progress is that of an open phase.
	Progress *timeline.Progress
	Bars     []Bar
	// Tracks is over how many lines the bars are spread, at least 1.
	Tracks int

	begin time.Time
	long  time.Duration
}

// Height is the height of the row's picture in pixels.
func (r *Row) Height() int { return r.Tracks*trackHeight + 4 }

const trackHeight = 14

// Bar is one phase or moment in a row.
type Bar struct {
	// X and Width are in percent, End is the place of its end.
	X, Width, End string
	// Y is in pixels from the top of the row.
	Y      int
	State  timeline.State
	Moment bool
	// Title is what a pointer that rests on it is told.
	Title string
}

// Draw lays a timeline out. Phases are numbered from 1, in the order of the
// timeline's lanes and spans.
func Draw(t *timeline.Timeline) Chart {
	if len(t.Lanes) == 0 {
		return Chart{}
	}
	a := newAxis(t.Begin, t.End)
	c := Chart{From: a.from, To: a.from.Add(a.length), Step: a.step(), Ticks: a.ticks()}
	stop := ""
	if t.Stop != nil {
		stop = t.Stop.SpanID
	}
	number := 1
	for i := range t.Lanes {
		l := &t.Lanes[i]
		c.Lanes = append(c.Lanes, lane(l, a, number, stop))
		number += len(l.Spans)
	}
	return c
}

func lane(l *timeline.Lane, a axis, number int, stop string) Lane {
	out := Lane{Attempt: l.Attempt, Stage: l.Stage, State: l.State, Begin: l.Begin, End: l.End, Spans: len(l.Spans)}
	rows := make([]Row, 0, min(len(l.Spans), 2*shown))
	for _, group := range groups(l.Spans) {
		rows = append(rows, row(l.Spans, group, a, number, stop))
	}
	out.Rows, out.Folded = fold(rows)
	return out
}

// groups are the indexes of the spans of each row, in the order of their first.
func groups(spans []timeline.Span) [][]int {
	var out [][]int
	at := make(map[string]int, len(spans))
	for i := range spans {
		if row, again := at[spans[i].Name]; again && len(spans) > apart {
			out[row] = append(out[row], i)
			continue
		}
		at[spans[i].Name] = len(out)
		out = append(out, []int{i})
	}
	return out
}

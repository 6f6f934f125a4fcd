package chart_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web/chart"
)

var zero = time.Date(2026, 11, 21, 23, 59, 30, 0, time.UTC)

func at(d time.Duration) time.Time { return zero.Add(d) }

func span(name string, from, to time.Duration, state timeline.State) timeline.Span {
	s := timeline.Span{ID: fmt.Sprint(name, from), Name: name, Start: at(from), End: at(to), State: state}
	if took := to - from; took > 0 && state != timeline.StateRunning {
		s.Duration = &took
	}
	s.Moment = from == to
	return s
}

func line(length time.Duration, spans ...timeline.Span) *timeline.Timeline {
	return &timeline.Timeline{
		Begin: zero, End: at(length), Lanes: []timeline.Lane{{Attempt: 1, Stage: "backend", Begin: zero, End: at(length), Spans: spans}},
	}
}

func number(t *testing.T, percent string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
	if err != nil || !strings.HasSuffix(percent, "%") || n < 0 || n > 100 {
		t.Errorf("%q is no place on the axis", percent)
	}
	return n
}

func TestDraw_PlacesByTime(t *testing.T) {
	t.Parallel()
	c := chart.Draw(line(100*time.Second,
		span("long", 0, 50*time.Second, timeline.StateSucceeded), span("short", 50*time.Second, 50*time.Second+time.Millisecond, timeline.StateFailed),
		span("moment", 100*time.Second, 100*time.Second, timeline.StateInfo), span("last", 99999*time.Millisecond, 100*time.Second, timeline.StateRunning)))
	rows := c.Lanes[0].Rows
	if b := rows[0].Bars[0]; b.X != "0%" || b.Width != "50%" || b.End != "50%" {
		t.Errorf("long: %+v", b)
	}
	if b := rows[1].Bars[0]; b.X != "50%" || number(t, b.Width) < 0.3 {
		t.Errorf("a short phase is not seen: %+v", b)
	}
	if b := rows[2].Bars[0]; b.X != "100%" || !b.Moment {
		t.Errorf("moment: %+v", b)
	}
	if b := rows[3].Bars[0]; b.End != "100%" || !rows[3].Open {
		t.Errorf("the last thing leaves the picture: %+v", b)
	}
	if rows[1].Number != 2 || rows[1].Failed != 1 {
		t.Errorf("numbers: %+v", rows[1])
	}
}

// An axis of any length has a few ticks at round times, a date where a day begins,
// and no label twice at one place.
func TestDraw_Ticks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		length time.Duration
		step   time.Duration
		first  string
		date   int // how many ticks name a day
	}{
		{0, 2 * time.Millisecond, "29.996s", 1},
		{50 * time.Millisecond, 10 * time.Millisecond, "30.000s", 1},
		{time.Second, 200 * time.Millisecond, "30.000s", 1},
		{45 * time.Second, 5 * time.Second, "23:59:30", 2},
		{10 * time.Minute, 2 * time.Minute, "00:00", 1},
		{90 * time.Minute, 10 * time.Minute, "00:00", 1},
		{26 * time.Hour, 3 * time.Hour, "00:00", 2},
		{9 * 24 * time.Hour, 24 * time.Hour, "2026", 9},
		{900 * 24 * time.Hour, 91 * 24 * time.Hour, "2027", 10},
	}
	for _, tc := range cases {
		c := chart.Draw(line(tc.length, span("a", 0, tc.length, timeline.StateEnded)))
		if c.Step != tc.step || c.Ticks[0].Time != tc.first {
			t.Errorf("%s: step %s from %s, want %s from %s", tc.length, c.Step, c.Ticks[0].Time, tc.step, tc.first)
		}
		days := 0
		for _, tick := range c.Ticks {
			if tick.Date != "" {
				days++
			}
		}
		if days != tc.date {
			t.Errorf("%s: %d ticks with a date, want %d: %+v", tc.length, days, tc.date, c.Ticks)
		}
	}
}

func TestDraw_OneNameSharesARow(t *testing.T) {
	t.Parallel()
	var spans []timeline.Span
	for i := range 40 {
		state := timeline.StateSucceeded
		if i == 30 {
			state = timeline.StateFailed
		}
		spans = append(spans, span("batch", time.Duration(i)*time.Second, time.Duration(i)*time.Second+1500*time.Millisecond, state))
	}
	few := chart.Draw(line(time.Minute, spans[:24]...))
	if n := len(few.Lanes[0].Rows); n != 24 {
		t.Errorf("few phases share %d rows", n)
	}
	many := chart.Draw(line(time.Minute, spans...))
	row := many.Lanes[0].Rows[0]
	if len(many.Lanes[0].Rows) != 1 || row.Count != 40 || row.Failed != 1 || row.Number != 31 || row.State != timeline.StateFailed {
		t.Errorf("%d rows, the first %+v", len(many.Lanes[0].Rows), row)
	}
	if row.Tracks != 2 || row.Height() <= 2*14 {
		t.Errorf("bars that overlap have %d lines, %d pixels", row.Tracks, row.Height())
	}
	if last := row.Bars[len(row.Bars)-1]; last.State != timeline.StateFailed {
		t.Errorf("what failed is drawn below others: %+v", last)
	}
}

func TestDraw_FoldsWhatTellsLeast(t *testing.T) {
	t.Parallel()
	var spans []timeline.Span
	for i := range 100 {
		from := time.Duration(i) * time.Second
		spans = append(spans, span(fmt.Sprint("step-", i), from, from+time.Duration(100+i)*time.Millisecond, timeline.StateSucceeded))
	}
	spans[3].State, spans[5].State = timeline.StateFailed, timeline.StateRunning
	c := chart.Draw(line(2*time.Minute, spans...))
	l := c.Lanes[0]
	if len(l.Rows) != 30 || len(l.Folded) != 70 || l.Spans != 100 {
		t.Fatalf("%d rows seen, %d folded of %d", len(l.Rows), len(l.Folded), l.Spans)
	}
	if l.Rows[0].Name != "step-3" || l.Rows[1].Name != "step-5" || l.Rows[2].Name != "step-72" {
		t.Errorf("seen first: %s, %s, %s", l.Rows[0].Name, l.Rows[1].Name, l.Rows[2].Name)
	}
	if l.Folded[0].Name != "step-0" {
		t.Errorf("folded first: %s", l.Folded[0].Name)
	}
}

func TestDraw_Empty(t *testing.T) {
	t.Parallel()
	if c := chart.Draw(&timeline.Timeline{}); !c.Empty() {
		t.Errorf("a chart of nothing: %+v", c)
	}
}

// Whatever the phases are, each is drawn once, within the picture.
func TestDraw_Any(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		in := &timeline.Timeline{Begin: zero, End: at(time.Duration(rapid.Int64Range(0, 1e18).Draw(r, "length")))}
		total := 0
		states := []timeline.State{
			timeline.StateRunning, timeline.StateSucceeded, timeline.StateFailed, timeline.StateUnfinished, timeline.StateInfo, timeline.StateError, "new",
		}
		for range rapid.IntRange(1, 4).Draw(r, "lanes") {
			lane := timeline.Lane{}
			for range rapid.IntRange(1, 90).Draw(r, "spans") {
				from := time.Duration(rapid.Int64Range(-1e9, 1e18).Draw(r, "from"))
				lane.Spans = append(lane.Spans, span(rapid.SampledFrom([]string{"a", "b", "c", fmt.Sprint("x", total)}).Draw(r, "name"), from,
					from+time.Duration(rapid.Int64Range(0, 1e17).Draw(r, "length")), rapid.SampledFrom(states).Draw(r, "state")))
				total++
			}
			in.Lanes = append(in.Lanes, lane)
		}
		c := chart.Draw(in)
		drawn := 0
		for _, l := range c.Lanes {
			for _, row := range slices.Concat(l.Rows, l.Folded) {
				drawn += len(row.Bars)
				for _, b := range row.Bars {
					x, width := number(t, b.X), number(t, b.Width)
					if !b.Moment && x+width > 100.01 || b.Y < 0 || b.Y+11 > row.Height() {
						r.Fatalf("outside: %+v in %d pixels", b, row.Height())
					}
				}
			}
			for _, row := range l.Folded {
				if row.Failed > 0 || row.Open {
					r.Fatalf("folded away: %+v", row)
				}
			}
		}
		if drawn != total || len(c.Ticks) > 12 {
			r.Fatalf("%d of %d drawn, %d ticks", drawn, total, len(c.Ticks))
		}
	})
}

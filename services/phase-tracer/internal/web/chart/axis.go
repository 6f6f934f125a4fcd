package chart

import (
	"strconv"
	"strings"
	"time"
)

// most is how many ticks an axis has at most; narrow views show every other one.
const most = 10

// Tick is one mark of the time axis.
type Tick struct {
	// X is its place in percent.
	X string
	// Time is the label, Date the day below it where a day begins.
	Time, Date string
	// Anchor keeps the label within the picture: start, middle or end.
	Anchor string
	// Minor ticks are left out where there is little room.
	Minor bool
}

// axis maps time to percent.
type axis struct {
	from   time.Time
	length time.Duration
}

// newAxis bounds the axis. A timeline of moments at one time still has a length.
func newAxis(from, to time.Time) axis {
	a := axis{from: from.UTC(), length: to.Sub(from)}
	const least = 10 * time.Millisecond
	if a.length < least {
		a.from, a.length = a.from.Add(-least/2), least
	}
	return a
}

func (a axis) at(t time.Time) float64 {
	return min(max(100*float64(t.Sub(a.from))/float64(a.length), 0), 100)
}

// steps are the distances of ticks that people read easily.
func steps() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		day, 2 * day, 7 * day, 14 * day, 28 * day, 91 * day, 364 * day,
	}
}

// step is the smallest distance that gives no more ticks than there is room for.
func (a axis) step() time.Duration {
	all := steps()
	for _, s := range all {
		if a.length/s < most {
			return s
		}
	}
	step := all[len(all)-1]
	for a.length/step >= most {
		step *= 2
	}
	return step
}

// ticks are at round times of the day in UTC, whatever the beginning is.
func (a axis) ticks() []Tick {
	step := a.step()
	end := a.from.Add(a.length)
	var out []Tick
	day := ""
	first := a.from.Truncate(step)
	if first.Before(a.from) {
		first = first.Add(step)
	}
	for at := first; !at.After(end); at = at.Add(step) {
		x := a.at(at)
		tick := Tick{X: percent(x), Time: label(at, step), Anchor: anchor(x), Minor: len(out)%2 == 1}
		if date := at.Format("Jan 2"); date != day {
			tick.Date, day = date, date
		}
		out = append(out, tick)
	}
	return out
}

func label(at time.Time, step time.Duration) string {
	switch {
	case step >= 24*time.Hour:
		return at.Format("2006")
	case step >= time.Minute:
		return at.Format("15:04")
	case step >= time.Second:
		return at.Format("15:04:05")
	default:
		return at.Format("05.000") + "s"
	}
}

func anchor(x float64) string {
	switch {
	case x < 6:
		return "start"
	case x > 94:
		return "end"
	default:
		return "middle"
	}
}

// percent is a place or length for an attribute of SVG.
func percent(x float64) string {
	text := strconv.FormatFloat(x, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

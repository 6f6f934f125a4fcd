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
	var out []time.Duration
	for unit := time.Millisecond; unit < time.Second; unit *= 10 {
		out = append(out, unit, 2*unit, 5*unit)
	}
	for _, unit := range []time.Duration{time.Second, time.Minute} {
		out = append(out, unit, 2*unit, 5*unit, 10*unit, 15*unit, 30*unit)
	}
	for _, hours := range []time.Duration{1, 2, 3, 6, 12} {
		out = append(out, hours*time.Hour)
	}
	for _, days := range []time.Duration{1, 2, 7, 14, 28, 91, 364} {
		out = append(out, days*day)
	}
	return out
}

// step is the smallest distance that gives no more ticks than there is room for.
func (a axis) step() time.Duration {
	all := steps()
	for _, s := range all {
		if a.length/s < most {
			return s
		}
	}
	last := all[len(all)-1]
	return last * (a.length/(last*most) + 1)
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

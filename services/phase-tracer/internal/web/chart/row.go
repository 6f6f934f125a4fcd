package chart

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// row is the line of the spans with these indexes; first is the number of the
// lane's first span.
func row(spans []timeline.Span, group []int, a axis, first int, stop string) Row {
	r := Row{Name: spans[group[0]].Name, Count: len(group), Moment: true, begin: spans[group[0]].Start}
	lead := group[0]
	for _, i := range group {
		s := &spans[i]
		if weight(s, stop) > weight(&spans[lead], stop) {
			lead = i
		}
		r.add(s, stop)
	}
	r.Number, r.State, r.Progress = first+lead, spans[lead].State, spans[lead].Progress
	r.place(spans, group, a)
	return r
}

// weight is how much a span stands for its row.
func weight(s *timeline.Span, stop string) int {
	switch {
	case stop != "" && s.ID == stop:
		return 5
	case bad(s.State):
		return 4
	case s.State == timeline.StateRunning:
		return 3
	case s.State == timeline.StateUnfinished:
		return 2
	case s.State == timeline.StateWarning:
		return 1
	default:
		return 0
	}
}

func bad(s timeline.State) bool { return s == timeline.StateFailed || s == timeline.StateError }

func (r *Row) add(s *timeline.Span, stop string) {
	if bad(s.State) {
		r.Failed++
	}
	r.Stop = r.Stop || stop != "" && s.ID == stop
	r.Moment = r.Moment && s.Moment
	r.long = max(r.long, s.End.Sub(s.Start))
	if s.Duration != nil && (r.Took == nil || *s.Duration > *r.Took) {
		r.Took = s.Duration
	}
	if s.State == timeline.StateRunning {
		r.Open, r.OpenFor = true, max(r.OpenFor, s.End.Sub(s.Start))
	}
}

// place puts the bars on as few lines as they fit on without overlapping.
func (r *Row) place(spans []timeline.Span, group []int, a axis) {
	var free [tracks]float64 // up to where a line is taken
	r.Tracks = 1
	for _, i := range group {
		s := &spans[i]
		from, to := a.at(s.Start), a.at(s.End)
		width := max(to-from, least)
		from = min(from, 100-width) // the last thing that happened is within the picture
		track := 0
		for track < tracks-1 && free[track] > from {
			track++
		}
		free[track] = max(free[track], from+width)
		r.Tracks = max(r.Tracks, track+1)
		b := Bar{X: percent(from), Width: percent(width), End: percent(from + width), Y: track*trackHeight + 2}
		b.State, b.Moment = s.State, s.Moment
		if s.Moment {
			b.X = percent(to)
		}
		b.Title = title(s)
		r.Bars = append(r.Bars, b)
	}
	// What failed is drawn above what did not.
	slices.SortStableFunc(r.Bars, func(a, b Bar) int { return cmp.Compare(rank(a.State), rank(b.State)) })
}

func rank(s timeline.State) int {
	switch {
	case bad(s):
		return 2
	case s == timeline.StateRunning:
		return 1
	default:
		return 0
	}
}

func title(s *timeline.Span) string {
	parts := []string{s.Name + ":", string(s.State)}
	if s.Duration != nil {
		parts = append(parts, "after", web.Duration(*s.Duration))
	}
	at := s.Start.UTC().Format("2006-01-02 15:04:05.000 UTC")
	return strings.Join(append(parts, "at", at), " ")
}

// fold keeps the rows that tell most in sight: what failed, what is open, what
// took long. All keep the order of time.
func fold(rows []Row) (seen, folded []Row) {
	if len(rows) <= shown {
		return rows, nil
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &rows[a], &rows[b]
		return cmp.Or(cmp.Compare(y.rank(), x.rank()), cmp.Compare(y.long, x.long), x.begin.Compare(y.begin))
	})
	keep := make([]bool, len(rows))
	for n, i := range order {
		keep[i] = n < shown || rows[i].rank() > 0
	}
	for i := range rows {
		if keep[i] {
			seen = append(seen, rows[i])
		} else {
			folded = append(folded, rows[i])
		}
	}
	return seen, folded
}

func (r *Row) rank() int {
	switch {
	case r.Stop:
		return 3
	case r.Failed > 0:
		return 2
	case r.Open:
		return 1
	default:
		return 0
	}
}

// Longest is the longest of a folded list, to say what is in it.
func Longest(rows []Row) time.Duration {
	var out time.Duration
	for i := range rows {
		out = max(out, rows[i].long)
	}
	return out
}

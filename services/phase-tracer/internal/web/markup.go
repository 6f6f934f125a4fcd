package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web/chart"
)

// What is below is written as text and not by templates, which take longer for
// the bars of a long job than everything else together. Every text that is not
// from this file passes escape.

// escape makes of any text one that is safe and visible in an element or between
// quotes.
func escape(s string) string { return template.HTMLEscapeString(shared.Visible(s)) }

// sign and class tell a state to the eye; the sign does without colour.
func sign(s timeline.State) (sign, class string) {
	switch s {
	case timeline.StateFailed, timeline.StateError:
		return "✕", "bad"
	case timeline.StateSucceeded:
		return "✓", "good"
	case timeline.StateRunning:
		return "▶", "run"
	case timeline.StateCancelled:
		return "⊘", "warn"
	case timeline.StateUnfinished:
		return "?", "warn"
	case timeline.StateWarning:
		return "!", "warn"
	case timeline.StateInfo:
		return "◇", "plain"
	default:
		return "■", "plain"
	}
}

// badge is a state with its sign.
func badge(s timeline.State) template.HTML {
	mark, class := sign(s)
	//nolint:gosec // the state is escaped, the rest is from above
	return template.HTML(`<span class="state ` + class + `"><span aria-hidden="true">` + mark + `</span> ` + escape(string(s)) + `</span>`)
}

// quiet is a word in the background; text must be safe.
func quiet(text string) string { return `<span class="quiet">` + text + `</span>` }

// words are what a row of the chart says beside its name.
func words(r *chart.Row) template.HTML {
	var parts []string
	if r.Count > 1 {
		parts = append(parts, quiet(strconv.Itoa(r.Count)+"×"))
	}
	if r.Count > 1 && r.Failed > 0 {
		parts = append(parts, fmt.Sprintf(`<span class="state bad"><span aria-hidden="true">✕</span> %d failed</span>`, r.Failed))
	} else {
		parts = append(parts, string(badge(r.State)))
	}
	switch {
	case r.Open:
		text := "for " + shared.Duration(r.OpenFor)
		if r.Progress != nil {
			text += ", " + progress(r.Progress)
		}
		parts = append(parts, quiet(text))
	case r.Took != nil && r.Count > 1:
		parts = append(parts, quiet("up to "+shared.Duration(*r.Took)))
	case r.Took != nil:
		parts = append(parts, quiet(shared.Duration(*r.Took)))
	}
	return template.HTML(strings.Join(parts, " ")) //nolint:gosec // made of safe parts
}

// progress is how far a phase is, as safe text.
func progress(p *timeline.Progress) string {
	text := strconv.FormatFloat(p.Done, 'g', 6, 64)
	if p.Total != 0 {
		text += " of " + strconv.FormatFloat(p.Total, 'g', 6, 64)
	}
	if p.Unit != "" {
		text += " " + string(shared.User(p.Unit))
	}
	return text
}

// bars is the picture of a row.
func bars(b *strings.Builder, r *chart.Row) {
	b.WriteString(`<svg class="bars" width="100%" height="` + strconv.Itoa(r.Height()) + `" aria-hidden="true" focusable="false">`)
	for i := range r.Bars {
		if bar := &r.Bars[i]; bar.Moment {
			moment(b, bar)
		} else {
			length(b, bar)
		}
	}
	b.WriteString(`</svg>`)
}

func moment(b *strings.Builder, bar *chart.Bar) {
	shape := `<path d="M-5 5 0 0 5 5 0 10Z"/>`
	switch bar.State { //nolint:exhaustive // all others have the shape above
	case timeline.StateError:
		shape = `<path d="M-6 5 0-1 6 5 0 11Z"/><path class="sign" d="M-2 3 2 7M2 3-2 7"/>`
	case timeline.StateWarning:
		shape = `<path d="M0-1 6 10H-6Z"/>`
	}
	b.WriteString(`<svg x="` + bar.X + `" y="` + strconv.Itoa(bar.Y) + `" overflow="visible" class="moment ` + escape(string(bar.State)) +
		`"><title>` + escape(bar.Title) + `</title>` + shape + `</svg>`)
}

func length(b *strings.Builder, bar *chart.Bar) {
	y := strconv.Itoa(bar.Y)
	rect := `x="` + bar.X + `" y="` + y + `" width="` + bar.Width + `" height="11" rx="2"/>`
	b.WriteString(`<g class="bar ` + escape(string(bar.State)) + `"><title>` + escape(bar.Title) + `</title><rect ` + rect)
	at := func(shape string) {
		b.WriteString(`<svg x="` + bar.End + `" y="` + y + `" overflow="visible"><path class="sign" d="` + shape + `"/></svg>`)
	}
	switch bar.State { //nolint:exhaustive // all others are plain
	case timeline.StateFailed:
		// The fill is said here: in the stylesheet, #hatch would be sought there.
		b.WriteString(`<rect class="hatch" fill="url(#hatch)" ` + rect)
		at("M-5 1 4 10M4 1-5 10")
	case timeline.StateRunning:
		at("M-1-1 6 5.5-1 12Z")
	}
	b.WriteString(`</g>`)
}

// toldBy are the witnesses of one thing.
func toldBy(list []timeline.Witness, heard bool) template.HTML {
	if len(list) == 0 {
		return template.HTML(quiet("nobody named")) //nolint:gosec // our own text
	}
	var b strings.Builder
	for i := range list {
		w := &list[i]
		b.WriteString(`<span class="witness">` + string(shared.User(w.Source)))
		if w.Reporter != "" {
			b.WriteString(" " + quiet(string(shared.User(w.Reporter))))
		}
		if heard && !w.ReceivedAt.IsZero() {
			b.WriteString(" " + quiet("heard "+string(shared.Time(w.ReceivedAt))))
		}
		b.WriteString(`</span> `)
	}
	return template.HTML(b.String()) //nolint:gosec // escaped by User and Time
}

// took is a length that may not be known.
func took(d *time.Duration) string {
	if d == nil {
		return "–"
	}
	return shared.Duration(*d)
}

package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web/chart"
)

// The rows of a page are written here, for the reason that markup.go gives.

// rowSize is about how long a row is, so that a page finds room at once.
const rowSize = 1 << 10

// drawn are rows of the chart.
func drawn(list []chart.Row) template.HTML {
	var b strings.Builder
	b.Grow(len(list) * rowSize)
	for i := range list {
		r := &list[i]
		b.WriteString(`<li class="row`)
		if r.Stop {
			b.WriteString(" stop")
		}
		b.WriteString(`" data-state="` + escape(string(r.State)) + `"><div class="what"><a href="#phase-` + strconv.Itoa(r.Number) + `">` +
			string(shared.User(r.Name)) + `</a> <span class="words">`)
		b.WriteString(string(words(r)))
		b.WriteString(`</span></div>`)
		bars(&b, r)
		b.WriteString("</li>\n")
	}
	return template.HTML(b.String()) //nolint:gosec // every text passed escape or User
}

// PhaseRows are the rows of the table of phases.
func (v *jobView) PhaseRows() template.HTML {
	var b strings.Builder
	b.Grow(len(v.Phases) * rowSize)
	for i := range v.Phases {
		p := &v.Phases[i]
		p.cells(&b)
		b.WriteString(`<td data-label="What it said" class="text">`)
		p.said(&b)
		b.WriteString("</td>\n" + `<td data-label="Told by" class="text">` + string(p.By) + "</td></tr>\n")
	}
	return template.HTML(b.String()) //nolint:gosec // every text passed escape or User
}

// cells are the row up to the cell of what the phase said.
func (v *phaseView) cells(b *strings.Builder) {
	number := strconv.Itoa(v.Number)
	b.WriteString(`<tr id="phase-` + number + `" tabindex="-1" data-phase="` + escape(v.Name) + `" data-state="` + escape(string(v.State)) +
		`"><td data-label="No." class="number">` + number + "</td>\n" + `<td data-label="Stage">`)
	if v.Stage == "" {
		b.WriteString(quiet("none"))
	} else {
		b.WriteString(string(shared.User(v.Stage)))
	}
	if v.Attempt > 1 {
		fmt.Fprintf(b, ` <span class="quiet short">attempt %d</span>`, v.Attempt)
	}
	b.WriteString("</td>\n" + `<td data-label="Phase" class="name">` + string(shared.User(v.Name)))
	if v.Numbered() {
		fmt.Fprintf(b, ` <span class="quiet short">no. %d</span>`, v.Sequence)
	}
	b.WriteString(`</td><td data-label="State">` + string(v.Badge) + "</td>\n" + `<td data-label="Start">` + string(v.Start) +
		`</td><td data-label="End">`)
	if v.Moment {
		b.WriteString(quiet("a moment"))
	} else {
		b.WriteString(string(v.End))
	}
	b.WriteString(`</td><td data-label="Took" class="number">` + escape(v.Took) + "</td>\n")
}

// said is what the phase said: its message, its cause, how far it came.
func (v *phaseView) said(b *strings.Builder) {
	if v.Message != "" {
		b.WriteString(string(shared.User(v.Message)))
	}
	if v.Cause != nil {
		b.WriteString(" " + string(cause(v.Cause)))
	}
	if v.Reached != "" {
		b.WriteString(" " + quiet(string(v.Reached)))
	}
	if v.Marked != "" {
		b.WriteString(` <span class="state warn">` + escape(v.Marked) + "</span>")
	}
	if len(v.Details) == 0 {
		return
	}
	b.WriteString("<details><summary>Details</summary><ul>")
	for _, d := range v.Details {
		b.WriteString("<li><code>" + escape(d.Name) + "</code>: " + string(shared.User(d.Value)) + "</li>")
	}
	b.WriteString("</ul></details>")
}

// Why is a cause for the templates.
func (v *jobView) Why(c *timeline.Cause) template.HTML { return cause(c) }

// cause is why something failed, with where.
func cause(c *timeline.Cause) template.HTML {
	text := "<strong>" + escape(c.Cause) + "</strong>"
	add := func(before, value string) {
		if value != "" {
			text += before + string(shared.User(value))
		}
	}
	add(", container ", c.Container)
	add(", pod ", c.Pod)
	if c.ExitCode != nil {
		text += ", exit code " + strconv.Itoa(int(*c.ExitCode))
	}
	add(", node ", c.Node)
	add(", reason ", c.Reason)
	add(": ", c.Message)
	return template.HTML(text) //nolint:gosec // every text passed escape or User
}

package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web/chart"
)

// phaseView is a phase or a moment as a row of the table, made once: a job has
// hundreds of them.
type phaseView struct {
	ID, Name, Stage, Message, Took, Marked string
	State                                  timeline.State
	// Number is its number on the page, the one that the chart links to.
	Number                         int
	Attempt                        int32
	Sequence                       int64
	Moment                         bool
	Badge, Start, End, By, Reached template.HTML
	Cause                          *timeline.Cause
	Progress                       *timeline.Progress
	Details                        []pair
}

// maxNumber is up to where a sequence is a number for people; beyond, it only tells
// one process from another.
const maxNumber = 9999

// Numbered says that the phase's sequence tells people something.
func (v *phaseView) Numbered() bool { return v.Sequence > 0 && v.Sequence <= maxNumber }

// pair is a name with its value.
type pair struct{ Name, Value string }

// phases are all spans in the order of the chart's numbers.
func phases(t *timeline.Timeline) []phaseView {
	var out []phaseView
	for i := range t.Lanes {
		l := &t.Lanes[i]
		for j := range l.Spans {
			v := phase(&l.Spans[j])
			v.Number, v.Attempt, v.Stage = len(out)+1, l.Attempt, l.Stage
			out = append(out, v)
		}
	}
	return out
}

func phase(s *timeline.Span) phaseView {
	v := phaseView{
		ID: s.ID, Name: s.Name, Message: s.Message, Took: took(s.Duration), Marked: marked(s.Marks), State: s.State,
		Sequence: s.Sequence, Moment: s.Moment, Badge: badge(s.State), Start: shared.Time(s.ReportedStart), End: shared.Time(s.ReportedEnd),
		By: toldBy(s.Witnesses, false), Cause: s.Cause, Progress: s.Progress,
	}
	if s.Progress != nil {
		v.Reached = template.HTML(progress(s.Progress)) //nolint:gosec // it is safe text
	}
	for _, name := range slices.Sorted(maps.Keys(s.Details)) {
		v.Details = append(v.Details, pair{name, s.Details[name]})
	}
	return v
}

// marked says in words how a phase is to be read where it cannot be taken as it
// stands.
func marked(marks []timeline.Mark) string {
	words := make([]string, len(marks))
	for i, m := range marks {
		words[i] = markWords(m)
	}
	return strings.Join(words, "; ")
}

func markWords(m timeline.Mark) string {
	switch m {
	case timeline.MarkStartMissing:
		return "no start on record"
	case timeline.MarkEndMissing:
		return "no end on record"
	case timeline.MarkNegative:
		return "ended before it began, by its reporters' clocks"
	case timeline.MarkRepeated:
		return "name and number used more than once"
	case timeline.MarkClockAhead:
		return "its reporter's clock is ahead"
	case timeline.MarkFarOff:
		return "its time is far from all others"
	case timeline.MarkUnknownKind:
		return "of a kind that this release does not know"
	default:
		return string(m)
	}
}

// laneView is a lane of the chart with its rows drawn.
type laneView struct {
	*chart.Lane

	Badge              template.HTML
	Drawn, DrawnFolded template.HTML
}

func lanes(c *chart.Chart) []laneView {
	out := make([]laneView, len(c.Lanes))
	for i := range c.Lanes {
		l := &c.Lanes[i]
		out[i] = laneView{Lane: l, Badge: badge(l.State), Drawn: drawn(l.Rows), DrawnFolded: drawn(l.Folded)}
	}
	return out
}

// capsuleView is a capsule with its pod's status to be read.
type capsuleView struct {
	timeline.Capsule

	Number int
	Pretty string
}

// capsules are the newest first: what was said last is what is looked for.
func capsules(list []timeline.Capsule) []capsuleView {
	out := make([]capsuleView, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		out = append(out, capsuleView{Capsule: list[i], Number: len(list) - i, Pretty: pretty(list[i].Status)})
	}
	return out
}

// pretty indents JSON. What is none, such as one that was cut, stays as it is.
func pretty(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// letterView is a dead letter with the page where it is dealt with.
type letterView struct {
	timeline.Letter

	// Page is its address, "" when that is not known.
	Page string
}

// letterID is what an id of a letter is made of; a phase can claim any.
var letterID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (s *Site) letterViews(list []timeline.Letter) []letterView {
	out := make([]letterView, len(list))
	for i, l := range list {
		out[i].Letter = l
		if s.letters != nil && letterID.MatchString(l.ID) {
			out[i].Page = s.letters.JoinPath("letters", url.PathEscape(l.ID)).String()
		}
	}
	return out
}

// factView is a fact with its witnesses by name.
type factView struct {
	timeline.Fact

	By template.HTML
	// Alone says that only one of the two who watch the cluster told of it.
	Alone bool
}

// facts marks what only one of the two paths saw. It needs a watcher to be seen by
// both: what recovery or a stage said has one source by nature.
func facts(list []timeline.Fact) []factView {
	watchers := []string{"EVENT_STREAMER", "LOG_WITNESS", "KUBERNETES_EVENT"}
	out := make([]factView, len(list))
	for i, f := range list {
		n := 0
		for _, w := range f.Witnesses {
			if slices.Contains(watchers, w.Source) {
				n++
			}
		}
		out[i] = factView{Fact: f, By: toldBy(f.Witnesses, true), Alone: n == 1}
	}
	return out
}

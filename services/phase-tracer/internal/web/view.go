package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// phaseView is a phase or a moment with its place.
type phaseView struct {
	timeline.Span

	// Number is its number on the page, the one that the chart links to.
	Number  int
	Attempt int32
	Stage   string
}

// Marked says in words how the phase is to be read where it cannot be taken as it
// stands.
func (v *phaseView) Marked() string {
	words := make([]string, len(v.Marks))
	for i, m := range v.Marks {
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

// pair is a name with its value.
type pair struct{ Name, Value string }

// Told are the phase's details in the order of their names.
func (v *phaseView) Told() []pair {
	out := make([]pair, 0, len(v.Details))
	for _, name := range slices.Sorted(maps.Keys(v.Details)) {
		out = append(out, pair{name, v.Details[name]})
	}
	return out
}

// phases are all spans in the order of the chart's numbers.
func phases(t *timeline.Timeline) []phaseView {
	var out []phaseView
	for i := range t.Lanes {
		l := &t.Lanes[i]
		for j := range l.Spans {
			out = append(out, phaseView{Span: l.Spans[j], Number: len(out) + 1, Attempt: l.Attempt, Stage: l.Stage})
		}
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
		out[i] = factView{Fact: f, Alone: n == 1}
	}
	return out
}

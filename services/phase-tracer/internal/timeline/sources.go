package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// sources lists all who told of the job, by name.
func (t *Timeline) sources(all []event, updates []Update) {
	of := make(map[string]*Source)
	heard := func(name string, at time.Time) {
		s := of[name]
		if s == nil {
			s = &Source{Source: name, First: at, Last: at}
			of[name] = s
		}
		s.Events++
		if at.Before(s.First) {
			s.First = at
		}
		if at.After(s.Last) {
			s.Last = at
		}
	}
	for i := range all {
		for _, w := range all[i].witnesses {
			heard(w.Source, all[i].at)
		}
	}
	for _, u := range updates {
		if u.Event != nil {
			heard(job.SourceName(u.Event.GetSource()), u.Event.GetOccurredAt().AsTime())
		}
	}
	for _, s := range of {
		t.Sources = append(t.Sources, *s)
	}
	slices.SortFunc(t.Sources, func(a, b Source) int { return strings.Compare(a.Source, b.Source) })
}

// clocks warns of clocks that disagree: of reporters that are ahead of Pub/Sub,
// and of stages that begin before the stage before them.
func (t *Timeline) clocks(all []event) {
	ahead := make(map[string]time.Duration)
	for i := range all {
		by := all[i].ahead()
		for _, w := range all[i].witnesses {
			if by > ahead[w.Source] {
				ahead[w.Source] = by
			}
		}
	}
	for _, s := range t.Sources {
		if by := ahead[s.Source]; by > 0 {
			t.warn("clock_ahead", fmt.Sprintf("The clock of %s is up to %s ahead of Pub/Sub's; times are shown as they were told.",
				speaker(s.Source), round(by)))
		}
	}
	for i := 1; i < len(t.Lanes); i++ {
		l, before := &t.Lanes[i], &t.Lanes[i-1]
		if l.Attempt != before.Attempt || before.Ordinal == 0 || before.Begin.Sub(l.Begin) <= clockTolerance {
			continue
		}
		l.Skew = before.Begin.Sub(l.Begin)
		t.warn("clock_skew", fmt.Sprintf(
			"Stage %s begins %s before stage %s, which comes first; the clocks of their reporters disagree, and times are shown as told.",
			stage(l.Stage), round(l.Skew), stage(before.Stage)))
	}
	t.marked(MarkNegative, "negative_duration", "ended before they began, by the clocks of their reporters; they are drawn without a length")
	t.marked(MarkFarOff, "far_off", "carry a time a month or more before all others; they are drawn at the beginning")
	t.marked(MarkStartMissing, "start_missing", "have no start on record; they are drawn from the first thing that is known of them")
	t.marked(MarkEndMissing, "end_missing", "have no end on record though their stage or job is over")
}

func (t *Timeline) marked(m Mark, code, text string) {
	n := 0
	for i := range t.Lanes {
		for j := range t.Lanes[i].Spans {
			if t.Lanes[i].Spans[j].Has(m) {
				n++
			}
		}
	}
	if n > 0 {
		t.warn(code, fmt.Sprintf("Phases that %s: %d.", text, n))
	}
}

func (t *Timeline) warn(code, text string) { t.Warnings = append(t.Warnings, Warning{code, text}) }

// speaker is the name of a source in a sentence.
func speaker(source string) string {
	switch source {
	case "SDK":
		return "the product's own code"
	case "KUBERNETES_EVENT":
		return "Kubernetes"
	case "UNSPECIFIED", "":
		return "somebody who is not named"
	default:
		return strings.ReplaceAll(strings.ToLower(source), "_", "-")
	}
}

func stage(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

package rules

import (
	"slices"
	"strings"
)

// Find returns the rule that owns a job: the first that describes it, whether
// or not its time has come. So a patient rule above an impatient one keeps its
// jobs, and no job has two rules.
func (s *Set) Find(subject *Subject) Found {
	for i := range s.Rules {
		if r := &s.Rules[i]; r.Match.fits(subject) {
			return Found{Rule: r, Due: subject.QuietSince.Add(r.SilentFor)}
		}
	}
	return Found{}
}

func (m *Match) fits(s *Subject) bool {
	if len(m.Stages) > 0 && !slices.ContainsFunc(m.Stages, func(p string) bool { return fits(p, s.Stage) }) {
		return false
	}
	if len(m.States) > 0 && !slices.Contains(m.States, s.State) {
		return false
	}
	for name, patterns := range m.Labels {
		value := s.Labels[name]
		if !slices.ContainsFunc(patterns, func(p string) bool { return fits(p, value) }) {
			return false
		}
	}
	return true
}

// wildcard stands for any text, also none.
const wildcard = "*"

// fits reports whether a value fits a pattern, in which each "*" stands for any
// text. It takes time linear in the value for each "*".
func fits(pattern, value string) bool {
	head, rest, starred := strings.Cut(pattern, wildcard)
	if !starred {
		return pattern == value
	}
	value, ok := strings.CutPrefix(value, head)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, wildcard)
		if !more {
			return strings.HasSuffix(value, part)
		}
		_, left, found := strings.Cut(value, part)
		if !found {
			return false
		}
		value, rest = left, after
	}
}

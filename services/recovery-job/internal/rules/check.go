package rules

import (
	"fmt"
	"slices"

	"github.com/envision/resiliency/pkg/job"
)

// contradictions are what is wrong with a rule although each key of it is right.
func (r *reader) contradictions(v value, keys map[string]value, rule *Rule) {
	_, resumes := keys[keyResume]
	switch {
	case rule.Do == DoResume && !resumes:
		r.wrongf(v.at(keyDo), "%q needs the key %s", DoResume, keyResume)
	case rule.Do != DoResume && resumes:
		r.wrongf(v.at(keyResume), "this has no meaning with \"%s: %s\"", keyDo, rule.Do)
	}
	switch {
	case rule.HardLimit == 0 && (rule.Do == DoFail || rule.Do == DoResume):
		r.wrongf(v, "%s is missing: \"%s: %s\" needs a time after which the job ends although the pipeline may be what is silent",
			keyHardLimit, keyDo, rule.Do)
	case rule.HardLimit > 0 && rule.HardLimit <= rule.SilentFor:
		r.wrongf(v.at(keyHardLimit), "%s is not longer than %s, which is %s", rule.HardLimit, keySilentFor, rule.SilentFor)
	case rule.Do == DoResume && rule.HardLimit < rule.SilentFor+rule.Resume.NotAfter:
		r.warnf(v.at(keyHardLimit), "%s is over before the first resume has expired (%s and %s are %s)",
			rule.HardLimit, keySilentFor, keyNotAfter, rule.SilentFor+rule.Resume.NotAfter)
	}
	if rule.RunningLimit > 0 && rule.RunningLimit < rule.SilentFor {
		r.wrongf(v.at(keyRunningLimit), "%s is shorter than %s: no job is looked at before %s", rule.RunningLimit, keySilentFor, rule.SilentFor)
	}
}

// unreachable warns of rules that own no job, since earlier ones own all that
// they describe.
func unreachable(all []Rule) []Problem {
	var out []Problem
	for i := range all {
		if all[i].Line == 0 {
			continue // built in: that a team's rules replace it is as it should be
		}
		if by := ownersBefore(all[:i], &all[i].Match); by != "" {
			out = append(out, Problem{
				Line: all[i].Line, Column: 1, Key: all[i].Name,
				Message: fmt.Sprintf("this rule can never match: %s above it owns all its jobs", by),
			})
		}
	}
	return out
}

// catchesAll reports whether every job has a rule.
func catchesAll(all []Rule) bool { return ownersBefore(all, &Match{}) != "" }

// ownersBefore names the rules that together own all that m describes, or
// nothing if some of it is left.
func ownersBefore(before []Rule, m *Match) string {
	stages, states := m.Stages, m.States
	if len(stages) == 0 {
		stages = []string{wildcard}
	}
	if len(states) == 0 {
		states = Active()
	}
	var owners []string
	for _, stage := range stages {
		for _, state := range states {
			i := slices.IndexFunc(before, func(r Rule) bool { return r.Match.covers(stage, state, m.Labels) })
			if i < 0 {
				return ""
			}
			if name := fmt.Sprintf("%q", before[i].Name); !slices.Contains(owners, name) {
				owners = append(owners, name)
			}
		}
	}
	if len(owners) == 1 {
		return owners[0]
	}
	return fmt.Sprintf("%s and others", owners[0])
}

// covers reports whether m describes every job of that stage pattern and state
// whose labels fit the patterns.
func (m *Match) covers(stage string, state job.State, labels map[string][]string) bool {
	if len(m.Stages) > 0 && !anyFits(m.Stages, stage) {
		return false
	}
	if len(m.States) > 0 && !slices.Contains(m.States, state) {
		return false
	}
	for name, patterns := range m.Labels {
		narrower := labels[name]
		if len(narrower) == 0 {
			narrower = []string{wildcard}
		}
		for _, n := range narrower {
			if !anyFits(patterns, n) {
				return false
			}
		}
	}
	return true
}

// anyFits reports whether one of the patterns covers another pattern. Taken as
// a text, the other fits only where its own wildcard meets one.
func anyFits(patterns []string, other string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, other) })
}

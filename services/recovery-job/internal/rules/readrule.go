package rules

import (
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/envision/resiliency/pkg/job"
)

// Keys of a rule.
const (
	keyName         = "name"
	keyMatch        = "match"
	keySilentFor    = "silent_for"
	keyDo           = "do"
	keyResume       = "resume"
	keyHardLimit    = "hard_limit"
	keyRunningLimit = "running_limit"
	keyEndingGrace  = "ending_grace"
	keyOutput       = "output"
	keyTell         = "tell"

	keyStage  = "stage"
	keyState  = "state"
	keyLabels = "labels"

	keyTimes    = "times"
	keyNotAfter = "not_after"

	keyExpect = "expect"
	keyMarker = "marker"
	keySettle = "settle"

	keyUser       = "user"
	keyDevelopers = "developers"
)

// What holds where a rule says nothing.
const (
	// DefaultMarker is what Hadoop and Spark write last.
	DefaultMarker      = "_SUCCESS"
	defaultSettle      = 2 * time.Minute
	defaultEndingGrace = 15 * time.Minute
)

// maxText bounds a text, in bytes: it goes into a message.
const maxText = job.MaxMessageBytes

// rule reads one rule; ok says that it may be used.
func (r *reader) rule(v value) (rule Rule, ok bool) {
	before := len(r.problems)
	keys := r.mapping(v, keyName, keyMatch, keySilentFor, keyDo, keyResume, keyHardLimit, keyRunningLimit,
		keyEndingGrace, keyOutput, keyTell)
	if keys == nil {
		return rule, false
	}
	for _, key := range []string{keyName, keySilentFor, keyDo} {
		if _, given := keys[key]; !given {
			r.wrongf(v, "%s is missing", key)
		}
	}
	rule = Rule{Line: v.node.Line, EndingGrace: defaultEndingGrace}
	rule.Output = Output{Expect: ExpectMarker, Marker: DefaultMarker, Settle: defaultSettle}
	if at, given := keys[keyName]; given {
		rule.Name = r.label(at, "the name of a rule")
	}
	if at, given := keys[keyDo]; given {
		rule.Do = oneOf(r, at, DoInvestigate, DoResume, DoFail, DoDelay)
	}
	for key, d := range map[string]*time.Duration{
		keySilentFor: &rule.SilentFor, keyHardLimit: &rule.HardLimit,
		keyRunningLimit: &rule.RunningLimit, keyEndingGrace: &rule.EndingGrace,
	} {
		if at, given := keys[key]; given {
			*d = r.duration(at)
		}
	}
	if at, given := keys[keyMatch]; given {
		rule.Match = r.match(at)
	}
	if at, given := keys[keyResume]; given {
		rule.Resume = r.resume(at)
	}
	if at, given := keys[keyOutput]; given {
		r.output(at, &rule.Output)
	}
	if at, given := keys[keyTell]; given {
		r.tell(at, &rule)
	}
	if len(r.problems) == before {
		r.contradictions(v, keys, &rule)
	}
	return rule, len(r.problems) == before
}

// label reads a word that can be a label's value.
func (r *reader) label(v value, what string) string {
	s, ok := r.text(v)
	if ok && job.CheckID(s) != nil {
		r.wrongf(v, "%q cannot be %s: it must be 1 to 63 letters, digits, '-', '_' or '.', and begin and end with a letter or digit",
			job.Cut(s, 2*job.MaxIDBytes), what)
	}
	return s
}

func (r *reader) match(v value) (m Match) {
	keys := r.mapping(v, keyStage, keyState, keyLabels)
	if at, given := keys[keyStage]; given {
		m.Stages = r.patterns(at)
	}
	if at, given := keys[keyState]; given {
		for _, item := range r.texts(at) {
			m.States = append(m.States, r.state(item))
		}
	}
	if at, given := keys[keyLabels]; given {
		labels := r.mapping(at, LabelNames()...)
		if labels != nil && len(at.node.Content) == 0 {
			r.wrongf(at, "there are no labels; leave the key out to mean all")
		}
		m.Labels = map[string][]string{}
		for name, patterns := range labels {
			m.Labels[name] = r.patterns(patterns)
		}
	}
	return m
}

// patterns reads patterns of names. Owners may be mail addresses, so all that can
// be printed may stand in one.
func (r *reader) patterns(v value) []string {
	var all []string
	for _, item := range r.texts(v) {
		s, ok := r.text(item)
		if ok && (len(s) > 256 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })) {
			r.wrongf(item, "%q is not a pattern: it must be at most 256 characters without blanks", job.Cut(s, 2*job.MaxIDBytes))
		}
		all = append(all, s)
	}
	return all
}

// Active are the states that a job may be stuck in.
func Active() []job.State {
	return []job.State{job.StatePending, job.StateSuspended, job.StateRunning}
}

func (r *reader) state(v value) job.State {
	s, ok := r.text(v)
	if !ok {
		return job.StateUnspecified
	}
	state, err := job.ParseState(s)
	switch {
	case err != nil || state == job.StateUnspecified:
		r.wrongf(v, "%q is no state; a job may be stuck in %s", s, stateNames())
	case job.Terminal(state):
		r.wrongf(v, "a job that is %s is over and cannot be stuck; it may be stuck in %s", s, stateNames())
	}
	return state
}

func stateNames() string {
	var names []string
	for _, s := range Active() {
		names = append(names, job.StateName(s))
	}
	return strings.Join(names, ", ")
}

func (r *reader) resume(v value) (out Resume) {
	keys := r.mapping(v, keyTimes, keyNotAfter)
	if keys == nil {
		return out
	}
	if at, given := keys[keyTimes]; !given {
		r.wrongf(v, "%s is missing", keyTimes)
	} else if n, ok := r.integer(at, 0, job.MaxAttempt-1); ok {
		if out.Times = n; n == 0 {
			r.wrongf(at, "to resume 0 times is not to resume; write \"%s: %s\"", keyDo, DoFail)
		}
	}
	if at, given := keys[keyNotAfter]; !given {
		r.wrongf(v, "%s is missing", keyNotAfter)
	} else {
		out.NotAfter = r.duration(at)
	}
	return out
}

func (r *reader) output(v value, out *Output) {
	keys := r.mapping(v, keyExpect, keyMarker, keySettle)
	if at, given := keys[keyExpect]; given {
		out.Expect = oneOf(r, at, ExpectMarker, ExpectAny, ExpectNone)
	}
	for _, key := range []string{keyMarker, keySettle} {
		if at, given := keys[key]; given && out.Expect == ExpectNone {
			r.wrongf(at, "this has no meaning with \"%s: %s\"", keyExpect, ExpectNone)
		}
	}
	if at, given := keys[keyMarker]; given {
		s, ok := r.text(at)
		if ok && (len(s) > 256 || strings.Contains("/"+s+"/", "//") || !utf8.ValidString(s) ||
			strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })) {
			r.wrongf(at, "%q cannot be the name of an object below a prefix", job.Cut(s, 2*job.MaxIDBytes))
		}
		out.Marker = s
	}
	if at, given := keys[keySettle]; given {
		out.Settle = r.duration(at)
	}
}

func (r *reader) tell(v value, rule *Rule) {
	keys := r.mapping(v, keyUser, keyDevelopers)
	for key, text := range map[string]*Text{keyUser: &rule.User, keyDevelopers: &rule.Developers} {
		at, given := keys[key]
		if !given {
			continue
		}
		s, ok := r.text(at)
		if ok && (len(s) > maxText || !utf8.ValidString(s)) {
			r.wrongf(at, "the text has %d bytes; it must be UTF-8 of at most %d", len(s), maxText)
			continue
		}
		t, err := parseText(s)
		if err != nil {
			r.wrongf(within(at, s, err.at), "%s", err.problem)
		}
		*text = t
	}
}

// within is the place of a byte of a text, as far as the file shows it: a text
// in quotes begins one column later, one in a block lines later.
func within(v value, s string, at int) value {
	n := *v.node
	switch n.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		n.Line += 1 + strings.Count(s[:at], "\n")
		n.Column = 1
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		n.Column += 1 + utf8.RuneCountInString(s[:at])
	default:
		n.Column += utf8.RuneCountInString(s[:at])
	}
	return value{node: &n, path: v.path}
}

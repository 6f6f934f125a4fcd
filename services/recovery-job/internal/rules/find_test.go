package rules

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
)

func TestSet_Find(t *testing.T) {
	t.Parallel()
	set := &Set{Rules: []Rule{
		{Name: "patient", Match: Match{Stages: []string{"train-*"}, Labels: map[string][]string{LabelOwner: {"team-*"}}}, SilentFor: time.Hour},
		{Name: "train", Match: Match{Stages: []string{"train-*"}, States: []job.State{job.StateRunning}}, SilentFor: time.Minute},
		{Name: "whole_name", Match: Match{Stages: []string{"run-1"}}},
	}}
	quiet := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	cases := []struct {
		name    string
		subject Subject
		want    string
		due     time.Duration
	}{
		// Its patience holds: the hasty rule below does not get the job meanwhile.
		{"first_owns", Subject{Stage: "train-a", State: job.StateRunning, Labels: map[string]string{LabelOwner: "team-x"}}, "patient", time.Hour},
		{"label_differs", Subject{Stage: "train-a", State: job.StateRunning, Labels: map[string]string{LabelOwner: "ada"}}, "train", time.Minute},
		{"label_absent", Subject{Stage: "train-a", State: job.StateRunning}, "train", time.Minute},
		{"state_differs", Subject{Stage: "train-a", State: job.StatePending}, "", 0},
		{"a_name_is_no_prefix", Subject{Stage: "run-10"}, "", 0},
		{"no_stage", Subject{}, "", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.subject.QuietSince = quiet
			got := set.Find(&c.subject)
			if c.want == "" {
				if got.Rule != nil {
					t.Errorf("rule %q, want none", got.Rule.Name)
				}
				return
			}
			if got.Rule == nil || got.Rule.Name != c.want || !got.Due.Equal(quiet.Add(c.due)) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Patterns mean what the regular expression with .* for each * means.
func TestFits_asRegexp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 0, 8, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 10, -1).Draw(t, "value")
		want := regexp.MustCompile("^" + strings.ReplaceAll(pattern, "*", ".*") + "$").MatchString(value)
		if got := fits(pattern, value); got != want {
			t.Errorf("fits(%q, %q) = %v", pattern, value, got)
		}
	})
}

// What a pattern is said to cover, it fits.
func TestCovers_isSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := func(from, name string) string {
			return rapid.StringOfN(rapid.RuneFrom([]rune(from)), 0, 6, -1).Draw(t, name)
		}
		wide, narrow, value := word("ab*", "wide"), word("ab*", "narrow"), word("ab", "value")
		if fits(wide, narrow) && fits(narrow, value) && !fits(wide, value) {
			t.Errorf("%q covers %q but does not fit %q", wide, narrow, value)
		}
	})
}

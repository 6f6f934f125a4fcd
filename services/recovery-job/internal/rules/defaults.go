package rules

import (
	_ "embed"
	"fmt"
	"slices"
)

// builtIn is a rule file like any other.
//
//go:embed defaults.yaml
var builtIn []byte

// DefaultsFile is the text of the built-in rules, to show and to start from.
func DefaultsFile() []byte { return slices.Clone(builtIn) }

// Defaults are the built-in rules, for a process without a rule file.
func Defaults() (*Set, error) {
	set, _, err := parse("built-in rules", builtIn)
	if err != nil {
		return nil, fmt.Errorf("read the built-in rules: %w", err)
	}
	for i := range set.Rules {
		set.Rules[i].Line = 0
	}
	return set, nil
}

// withoutNames are the built-in rules but those whose name a team's rule has: it
// stands in their place.
func withoutNames(defaults, own []Rule) []Rule {
	return slices.DeleteFunc(defaults, func(d Rule) bool {
		return slices.ContainsFunc(own, func(r Rule) bool { return r.Name == d.Name })
	})
}

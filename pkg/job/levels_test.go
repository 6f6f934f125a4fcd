package job

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestEveryLevelMatters takes each level of each order away in turn and shows
// that a law or a hard case then breaks: no level is there for nothing, and the
// tests would notice its loss.
func TestEveryLevelMatters(t *testing.T) {
	t.Parallel()
	tellings := examples(6000)
	for _, mutant := range mutants() {
		t.Run(mutant.name, func(t *testing.T) {
			t.Parallel()
			breach := firstBreach(&mutant.rules, tellings)
			if breach == nil {
				t.Fatal("nothing breaks without this level: either it is needless or a test is missing")
			}
			t.Log(breach)
		})
	}
	if breach := firstBreach(&merge, tellings); breach != nil {
		t.Errorf("the whole rule breaks too: %v", breach)
	}
}

type mutant struct {
	name  string
	rules rules
}

func mutants() []mutant {
	var all []mutant
	all = append(all, without("status", merge.status, func(r *rules, o order[Status]) { r.status = o })...)
	all = append(all, without("cause", merge.cause, func(r *rules, o order[CauseClaim]) { r.cause = o })...)
	all = append(all, without("mark", merge.mark, func(r *rules, o order[Mark]) { r.mark = o })...)
	all = append(all, without("described", merge.described, func(r *rules, o order[Described]) { r.described = o })...)
	all = append(all, without("start", merge.start, func(r *rules, o order[Start]) { r.start = o })...)
	return append(all, without("kubernetes", merge.kubernetes, func(r *rules, o order[KubernetesClaim]) { r.kubernetes = o })...)
}

// without makes one mutant for each level of an order, without that level.
func without[T any](of string, whole order[T], set func(*rules, order[T])) []mutant {
	list := make([]mutant, 0, len(whole))
	for i, l := range whole {
		m := mutant{name: of + "/" + l.name, rules: merge}
		set(&m.rules, slices.Delete(slices.Clone(whole), i, i+1))
		list = append(list, m)
	}
	return list
}

// examples draws the same tellings on each run: a mutant must not survive by luck.
func examples(n int) []telling {
	gen := rapid.Custom(drawTelling)
	list := make([]telling, n)
	for seed := range n {
		list[seed] = gen.Example(seed)
	}
	return list
}

func firstBreach(m *rules, tellings []telling) error {
	for _, c := range hardCases() {
		if err := c.check(m); err != nil {
			return err
		}
	}
	for i := range tellings {
		for _, l := range laws() {
			if err := l.check(m, tellings[i]); err != nil {
				return fmt.Errorf("law %q: %w", l.name, err)
			}
		}
	}
	return nil
}

package job

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// telling is what a law is tried on: some claims, another order of them with
// repeats, and two places to cut at.
type telling struct {
	claims []Observation
	again  []Observation
	i, j   int
}

func drawTelling(t *rapid.T) telling {
	claims := drawObservations(t)
	repeats := rapid.SliceOfN(rapid.SampledFrom(claims), 0, 4).Draw(t, "repeats")
	i := rapid.IntRange(0, len(claims)).Draw(t, "i")
	return telling{
		claims: claims,
		again:  rapid.Permutation(append(repeats, claims...)).Draw(t, "again"),
		i:      i,
		j:      rapid.IntRange(i, len(claims)).Draw(t, "j"),
	}
}

// law is a property of the merge rule; check tells how a telling breaks it.
type law struct {
	name  string
	check func(m *rules, in telling) error
}

func laws() []law {
	return []law{
		{"any order and any repeats give the same record", orderLaw},
		{"commutative", commutativeLaw},
		{"associative", associativeLaw},
		{"idempotent", idempotentLaw},
		{"applying is joining", applyLaw},
		{"a record only rises", monotoneLaw},
	}
}

func TestLaws(t *testing.T) {
	t.Parallel()
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				if err := l.check(&merge, drawTelling(t)); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// same compares field by field, not by the rule under test.
func same(what string, a, b Record) error {
	if a == b { // the usual case, without reflection
		return nil
	}
	if diff := cmp.Diff(a, b); diff != "" {
		return fmt.Errorf("%s (-one +other):\n%s", what, diff)
	}
	return nil
}

func (m *rules) fold(list []Observation) Record {
	var r Record
	for i := range list {
		m.apply(&r, &list[i])
	}
	return r
}

func (m *rules) joined(a, b Record) Record {
	m.join(&a, &b)
	return a
}

func orderLaw(m *rules, in telling) error {
	return same("two orders give two records", m.fold(in.claims), m.fold(in.again))
}

func commutativeLaw(m *rules, in telling) error {
	a, b := m.fold(in.claims[:in.i]), m.fold(in.claims[in.i:])
	return same("a+b and b+a differ", m.joined(a, b), m.joined(b, a))
}

func associativeLaw(m *rules, in telling) error {
	a, b, c := m.fold(in.claims[:in.i]), m.fold(in.claims[in.i:in.j]), m.fold(in.claims[in.j:])
	return same("(a+b)+c and a+(b+c) differ",
		m.joined(m.joined(a, b), c), m.joined(a, m.joined(b, c)))
}

func idempotentLaw(m *rules, in telling) error {
	a := m.fold(in.claims)
	twice := a
	if m.join(&twice, &a) {
		return fmt.Errorf("a record joined with itself says that it changed")
	}
	for i := range in.claims {
		if outcome := m.apply(&twice, &in.claims[i]); outcome.Changed() {
			return fmt.Errorf("repeat of claim %d was %s", i, outcome)
		}
	}
	return same("a+a differs from a", a, twice)
}

func applyLaw(m *rules, in telling) error {
	var joined Record
	for i := range in.claims {
		one := Of(&in.claims[i])
		m.join(&joined, &one)
	}
	return same("applied and joined differ", m.fold(in.claims), joined)
}

func monotoneLaw(m *rules, in telling) error {
	var r Record
	for i := range in.again {
		before := r
		outcome := m.apply(&r, &in.again[i])
		back := before
		if changed := m.join(&back, &r); changed != outcome.Changed() {
			return fmt.Errorf("outcome %s, but joining the new record into the old one: changed=%v", outcome, changed)
		}
		if err := same("the new record does not contain the old one", r, back); err != nil {
			return err
		}
		if outcome.Changed() == before.Equal(&r) {
			return fmt.Errorf("outcome %s, but Equal says %v", outcome, before.Equal(&r))
		}
	}
	return nil
}

package fact

import (
	"math"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]uint64{
		"1": 1, "18446744073709551615": math.MaxUint64,
		"": 0, "0": 0, "01": 0, "-1": 0, "+1": 0, "1.0": 0, "1e3": 0, "abc": 0, "18446744073709551616": 0,
	} {
		if got := Version(s); got != want {
			t.Errorf("Version(%q) = %d, want %d", s, got, want)
		}
	}
}

// Versions are numbers: 9 comes before 10.
func TestLevels_Covers(t *testing.T) {
	t.Parallel()
	l := Levels{"jobs.ml": 10, "pods.ml": 5}
	cases := []struct {
		name  string
		marks []Mark
		want  bool
	}{
		{"below", []Mark{At("jobs.ml", "9", 0)}, true},
		{"at", []Mark{At("jobs.ml", "10", 0)}, true},
		{"above", []Mark{At("jobs.ml", "11", 0)}, false},
		{"both", []Mark{At("jobs.ml", "9", 0), At("pods.ml", "5", 0)}, true},
		{"only_one", []Mark{At("jobs.ml", "9", 0), At("pods.ml", "6", 0)}, false},
		{"unknown_stream", []Mark{At("jobs.etl", "1", 0)}, false},
		{"ends_above", []Mark{{Stream: "jobs.ml", From: 1, To: 11}}, false},
		{"no_number", []Mark{At("jobs.ml", "abc", 3)}, false},
		{"none", nil, false},
		{"empty", []Mark{{}}, false},
	}
	for _, c := range cases {
		if got := l.Covers(c.marks); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLevels_Lower(t *testing.T) {
	t.Parallel()
	l := Levels{"jobs.ml": 10}
	for _, s := range []struct {
		mark Mark
		want uint64
	}{
		{At("jobs.ml", "11", 0), 10}, {At("jobs.ml", "8", 0), 7}, {At("jobs.ml", "8", 0), 7},
		{At("jobs.ml", "no number", 4), 4}, {Mark{Stream: "jobs.ml"}, 0}, {At("pods.ml", "1", 0), 0},
	} {
		if l.Lower(s.mark); l["jobs.ml"] != s.want {
			t.Errorf("after %+v: %d, want %d", s.mark, l["jobs.ml"], s.want)
		}
	}
	if _, ok := l["pods.ml"]; ok {
		t.Error("a stream of which nothing is known got a level")
	}
}

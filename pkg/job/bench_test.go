package job

import "testing"

// BenchmarkApply is the merge rule on the hot path: the five claims that a
// usual job's record gets from two sources, repeats included.
func BenchmarkApply(b *testing.B) {
	story := []Observation{
		claim(StatePending, 0, owned("team")),
		claim(StatePending, 0, owned("team")),
		claim(StateRunning, 1, owned("team")),
		claim(StateRunning, 1, owned("team")),
		claim(StateSucceeded, 9, owned("team")),
	}
	b.ReportAllocs()
	var r Record
	for i := 0; b.Loop(); i++ {
		if i%len(story) == 0 {
			r = Record{}
		}
		r.Apply(&story[i%len(story)])
	}
}

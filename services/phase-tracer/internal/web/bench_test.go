package web_test

import (
	"net/http"
	"testing"
)

// The page of a job with 500 phases must come within 100 ms in all; this is its
// share of it.
func BenchmarkJob_500Phases(b *testing.B) {
	f := newFixture(b)
	f.lines["render-7"] = build(longStory(500))
	b.ReportAllocs()
	for b.Loop() {
		w := f.get(everybody(), "/jobs/render-7")
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
		b.SetBytes(int64(w.Body.Len()))
	}
}

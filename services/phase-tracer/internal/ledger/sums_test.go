package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestRowOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"load": "load", "stage": "", "pod train-x7k2p": "pod", "pod " + strings.Repeat("x", 253): "pod",
		"pod": "pod", "pod.capsule": "pod.capsule", "podium": "podium", "stages": "stages",
	} {
		got := rowOf(&resiliencyv1.PhaseEvent{Name: name, Stage: &resiliencyv1.Stage{Name: "kubernetes"}})
		if got != (row{"kubernetes", want}) {
			t.Errorf("%q is summed up as %q", name, got)
		}
	}
}

// A job of many pods, restarted again and again, is one row.
func TestBook_PodsAreOneRow(t *testing.T) {
	t.Parallel()
	b := newBench(&memory{sums: map[string]Sum{}}, nil)
	for i := range 3 * maxRows {
		b.pass("j-1", fmt.Sprintf("pod train-%d", i), time.Second)
	}
	b.settle(t)
	rows := b.report(t, time.Hour)
	if len(rows) != 1 || rows["pod"].Count != 3*maxRows {
		t.Errorf("rows: %+v", rows)
	}
	if got := testutil.CollectAndCount(b.overflows); got > 0 && testutil.ToFloat64(b.overflows.WithLabelValues("10m")) > 0 {
		t.Error("pods overflowed")
	}
}

// Rows so big that they do not fit into a document are folded, the least used
// first; nothing is lost.
func TestSums_FoldUntilTheyFit(t *testing.T) {
	t.Parallel()
	s := make(sums)
	add := func(r row, took time.Duration) {
		t.Helper()
		if _, err := s.add(r, took, true); err != nil {
			t.Fatal(err)
		}
	}
	const names, each = 40, 200
	for i := range names {
		r := row{"kubernetes", fmt.Sprintf("phase-%02d", i)}
		for j := range each + i {
			add(r, time.Duration(1+j*j*j)*time.Millisecond)
		}
	}
	whole, folded, err := s.encode(maxSum)
	if err != nil || folded != 0 || len(s) != names {
		t.Fatalf("%d rows, %d folded, %v", len(s), folded, err)
	}
	limit := len(whole) / 3
	data, folded, err := s.encode(limit)
	if err != nil || len(data) > limit || folded == 0 {
		t.Fatalf("%d bytes of %d, %d folded, %v", len(data), limit, folded, err)
	}
	back := make(sums)
	if err := back.merge(data); err != nil {
		t.Fatal(err)
	}
	var total, failed int64
	for _, of := range back {
		total, failed = total+of.count, failed+of.failed
	}
	if want := int64(names*each + names*(names-1)/2); total != want || failed != want {
		t.Errorf("%d values and %d failures are left of %d", total, failed, want)
	}
	if at := back[row{Phase: others}]; at == nil || at.count != folded || at.sketch.GetCount() != float64(folded) {
		t.Errorf("others %+v, %d folded", at, folded)
	}
	if back[row{"kubernetes", "phase-39"}] == nil || back[row{"kubernetes", "phase-00"}] != nil {
		t.Error("the row of the most values was folded, or that of the least was not")
	}
	if _, _, err := s.encode(10); err == nil {
		t.Error("rows fit into 10 bytes")
	}
}

//go:build integration

package letters_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// Calls are counted as those of every store are, under the name of this one.
func TestStore_CallsAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reg := prometheus.NewRegistry()
	s := letters.New(b.db, letters.Config{Timeout: patient, Now: b.clock.now}, reg)
	a := arrival(1)
	for range 2 { // the second time its create meets the letter
		if _, _, _, err := s.Put(t.Context(), a, none); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), "none"); !errors.Is(err, letters.ErrNotFound) {
		t.Errorf("Get of none: %v", err)
	}
	if _, err := s.List(t.Context(), letters.Filter{}, nil, 10); err != nil {
		t.Error(err)
	}
	if n, err := s.Count(t.Context(), letters.Filter{}); err != nil || n != 1 {
		t.Errorf("Count = %d, %v", n, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name, store := f.GetName(), ""
			for _, l := range slices.Backward(m.GetLabel()) {
				if l.GetName() == "store" {
					store = l.GetValue()
				} else {
					name += " " + l.GetValue()
				}
			}
			if store != "letters" {
				t.Errorf("%s is of store %q", name, store)
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"resiliency_store_operations_total ok commit": 1, "resiliency_store_operations_total conflict commit": 1,
		"resiliency_store_operations_total ok get": 2, "resiliency_store_operations_total ok list": 1,
		"resiliency_store_operations_total ok count": 1, "resiliency_store_reads_total": 4,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v; all: %v", name, got[name], want, got)
		}
	}
}

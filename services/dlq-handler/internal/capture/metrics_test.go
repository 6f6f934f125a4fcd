package capture_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/services/dlq-handler/internal/capture"
)

// A counter that appears with its first letter never rose: the alert on new letters
// would miss the first one of each kind.
func TestMetrics_CountNewLettersFromZero(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	capture.NewMetrics(reg)
	want := map[string]float64{}
	for _, subscription := range []string{
		"job-events-status-updater", "job-log-entries-status-updater", "job-phases-phase-tracer", "job-updates-phase-tracer",
		"job-updates-product", "job-commands-product", "unknown",
	} {
		for _, category := range []string{"permanent", "retryable", "dependency", "unknown"} {
			want[subscription+" "+category+" new"] = 0
			want[subscription+" "+category+" reopened"] = 0
		}
	}
	if diff := cmp.Diff(want, letterCounts(t, reg)); diff != "" {
		t.Errorf("series of a process that has seen no letter, -want +got:\n%s", diff)
	}
}

// letterCounts are the counts of letters by subscription, category and outcome.
func letterCounts(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "dlq_handler_letters_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counts[labels["subscription"]+" "+labels["category"]+" "+labels["outcome"]] = m.GetCounter().GetValue()
		}
	}
	return counts
}

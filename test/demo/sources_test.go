package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/envision/resiliency/test/drive"
)

func TestPerSource(t *testing.T) {
	t.Parallel()
	family := &dto.MetricFamily{}
	add := func(source, result string, n float64) {
		family.Metric = append(family.Metric, &dto.Metric{
			Label:   []*dto.LabelPair{{Name: new("result"), Value: &result}, {Name: new("source"), Value: &source}},
			Counter: &dto.Counter{Value: &n},
		})
	}
	add("kubernetes_event", "duplicate", 7)
	add("event_streamer", "duplicate", 5)
	add("event_streamer", "first", 600)
	add("log_witness", "first", 2)
	add("log_witness", "duplicate", 603)
	want := []drive.SourceReport{
		{Source: "event_streamer", First: 600, Again: 5},
		{Source: "log_witness", First: 2, Again: 603},
		{Source: "kubernetes_event", Again: 7},
	}
	if diff := cmp.Diff(want, perSource(family)); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if got := perSource(nil); got != nil {
		t.Errorf("nothing counted gives %v", got)
	}
}

package rules

import (
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	metrics "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// sample is a number at a time, in milliseconds.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// listed are series one after another.
type listed struct {
	series []metrics.Series
	next   int
}

func (l *listed) Next() bool                        { l.next++; return l.next <= len(l.series) }
func (l *listed) At() metrics.Series                { return l.series[l.next-1] }
func (l *listed) Err() error                        { return nil }
func (l *listed) Warnings() annotations.Annotations { return nil }

// loaded keeps series in memory for the engine: what Prometheus' own test storage does
// too, which brings the clients of three clouds along.
func loaded(t *testing.T, all series) metrics.Queryable {
	t.Helper()
	var kept []metrics.Series
	for name, values := range all {
		if values == "" {
			continue
		}
		set, sequence, err := parser.ParseSeriesDesc(name + " " + values)
		if err != nil {
			t.Fatalf("%s %s: %v", name, values, err)
		}
		var samples []chunks.Sample
		for i, v := range sequence {
			if !v.Omitted {
				samples = append(samples, sample{at: int64(i) * interval.Milliseconds(), value: v.Value})
			}
		}
		kept = append(kept, metrics.NewListSeries(set, samples))
	}
	slices.SortFunc(kept, func(a, b metrics.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &metrics.MockQueryable{MockQuerier: &metrics.MockQuerier{
		SelectMockFunction: func(_ bool, _ *metrics.SelectHints, wanted ...*labels.Matcher) metrics.SeriesSet {
			found := &listed{}
			for _, s := range kept {
				if !slices.ContainsFunc(wanted, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) }) {
					found.series = append(found.series, s)
				}
			}
			return found
		},
	}}
}

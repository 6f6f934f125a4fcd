//go:build integration

package e2e

import (
	"net/http"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metric reads a counter or gauge of a service, summed over all series that
// carry the labels; 0 when there is none.
func (s *system) metric(service, name string, labels map[string]string) float64 {
	s.t.Helper()
	families, err := s.scrape(service)
	if err != nil {
		s.t.Logf("read metrics of %s: %v", service, err)
		return 0
	}
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		if carries(m, labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func (s *system) scrape(service string) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.services[service].AdminURL()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	// One connection a time: an idle one would outlive the test.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(resp.Body)
}

func carries(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, pair := range m.GetLabel() {
		if want, ok := labels[pair.GetName()]; ok && want == pair.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

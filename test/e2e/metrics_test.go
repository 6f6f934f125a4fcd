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
// carry the labels. That there is none is an error: a metric under another name
// must not read as 0.
func (s *system) metric(service, name string, labels map[string]string) float64 {
	s.t.Helper()
	sum, found := s.read(service, name, labels)
	if !found {
		s.t.Fatalf("%s has no metric %s%v", service, name, labels)
	}
	return sum
}

// counted is metric for a counter that has no series before it is first counted.
func (s *system) counted(service, name string, labels map[string]string) float64 {
	s.t.Helper()
	sum, _ := s.read(service, name, labels)
	return sum
}

func (s *system) read(service, name string, labels map[string]string) (sum float64, found bool) {
	s.t.Helper()
	families, err := s.scrape(service)
	if err != nil {
		s.t.Fatalf("read metrics of %s: %v", service, err)
	}
	for _, m := range families[name].GetMetric() {
		if carries(m, labels) {
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum, found
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

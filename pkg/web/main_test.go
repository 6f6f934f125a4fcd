package web_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer takes the log of a server's goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a router with pages of its own.
type site struct {
	*chi.Mux
	errs   *web.Errors
	pages  *web.Pages
	assets *web.Assets
	reg    *prometheus.Registry
	log    *logBuffer
}

func newSite(t testing.TB) *site {
	t.Helper()
	assets, err := web.NewAssets(fstest.MapFS{"own.css": {Data: []byte("p{}")}})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := web.NewPages("Tester", []web.Link{{Path: "/", Text: "Home"}, {Path: "/text", Text: "Text"}}, assets, fstest.MapFS{
		"_part.html":  {Data: []byte(`{{define "part"}}[{{user .}}]{{end}}`)},
		"text.html":   {Data: []byte(`{{define "content"}}<h1>T</h1>{{template "part" .Data}}<pre>{{visible .Data}}</pre>{{end}}`)},
		"broken.html": {Data: []byte(`{{define "content"}}half of it {{.Data.Nothing}}{{end}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{pages: pages, assets: assets, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	log := zerolog.New(s.log)
	s.errs = web.NewErrors(pages, log)
	s.Mux = web.NewRouter(s.errs, assets, s.reg, log)
	return s
}

func (s *site) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s *site) get(target string, headers ...string) *httptest.ResponseRecorder {
	return s.do(http.MethodGet, target, "", headers...)
}

// metric returns the samples of a metric.
func (s *site) metric(t *testing.T, name string) []*dto.Metric {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

// has fails the test for each text that the body lacks.
func has(t *testing.T, w *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("body lacks %q:\n%s", text, w.Body)
		}
	}
}

package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/authn/authntest"
	shared "github.com/envision/resiliency/pkg/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Who calls in the tests.
const (
	viewer   = "ana@example.com"  // reads team-a
	operator = "ops@example.com"  // operates team-a
	mixed    = "mix@example.com"  // operates team-a, reads team-b too
	root     = "root@example.com" // operates everything
	stranger = "eve@example.com"
)

// fixture is a site over fakes.
type fixture struct {
	*Site
	t      *testing.T
	issuer *authntest.Issuer
	desk   *desk
}

// newFixture takes a logger, else it logs to the test.
func newFixture(t *testing.T, log ...zerolog.Logger) *fixture {
	t.Helper()
	log = append(log, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
	f := &fixture{t: t, issuer: authntest.New(t), desk: newDesk()}
	site, err := New(Parts{
		Auth: f.issuer.IAPConfig(
			[]string{viewer + "=team-a", mixed + "=team-b"}, []string{operator + "=team-a", mixed + "=team-a", root + "=*"}),
		HTTP:  shared.Config{Addr: "127.0.0.1:0", Rate: 1e6, Burst: 1e6},
		Store: f.desk, Replayer: f.desk, DefaultRate: 5, MaxRate: 100,
		Registerer: prometheus.NewRegistry(), Now: time.Now,
		Log: log[0],
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Site = site
	return f
}

// do makes a request as somebody; nobody when who is empty. A body that begins
// with "{" is JSON, any other a form.
func (f *fixture) do(who, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, "https://dead-letters.example"+target, strings.NewReader(body))
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if who != "" {
		f.issuer.Request(f.t, r, who)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, r)
	return w
}

func (f *fixture) get(who, target string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do(who, http.MethodGet, target, "")
}

func (f *fixture) post(who, target, body string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do(who, http.MethodPost, target, body)
}

// want fails the test unless the answer has that status and holds all texts.
func want(t *testing.T, w *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	_, body, found := strings.Cut(w.Body.String(), "<main")
	if !found {
		body = w.Body.String()
	}
	if w.Code != status {
		t.Errorf("status %d, want %d:\n%s", w.Code, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("answer lacks %q:\n%s", text, body)
		}
	}
}

// lacks fails the test if the answer holds one of the texts.
func lacks(t *testing.T, w *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(w.Body.String(), text) {
			t.Errorf("answer has %q:\n%s", text, w.Body)
		}
	}
}

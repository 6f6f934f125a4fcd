package authn_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/authn/authntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	viewers   = []string{"ana@example.com=team-a", "*@example.org=team-b"}
	operators = []string{"Ops@Example.com=team-a,team-c", "root@example.com=*"}
)

// clock is one that a test moves.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Now().UnixNano())
	return c
}
func (c *clock) now() time.Time      { return time.Unix(0, c.nanos.Load()) }
func (c *clock) add(d time.Duration) { c.nanos.Add(int64(d)) }

// fixture is an Authenticator before a handler that tells who called.
type fixture struct {
	issuer *authntest.Issuer
	clock  *clock
	reg    *prometheus.Registry
	auth   *authn.Authenticator
	log    *bytes.Buffer // warnings; read it when nothing is called
}

func newFixture(t *testing.T, mode string, more ...string) *fixture {
	t.Helper()
	f := &fixture{issuer: authntest.New(t), clock: newClock(), reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	cfg := f.issuer.IAPConfig(slices.Concat(viewers, more), operators)
	cfg.Mode = mode
	if mode == authn.ModeNone {
		cfg = authn.Config{Mode: mode}
	}
	var err error
	if f.auth, err = authn.New(cfg, refuse, f.reg, f.clock.now, zerolog.New(zerolog.SyncWriter(f.log)).Level(zerolog.WarnLevel)); err != nil {
		t.Fatal(err)
	}
	return f
}

func refuse(w http.ResponseWriter, _ *http.Request, refusal *authn.Refusal) {
	w.WriteHeader(refusal.Status)
	if err := json.NewEncoder(w).Encode(refusal); err != nil {
		panic(err)
	}
}

// answer is what a request came to: a refusal's outcome, or ok and who it was.
type answer struct {
	status  int
	outcome authn.Outcome
	message string
	remedy  string
	who     authn.Identity
}

func (f *fixture) call(t testing.TB, r *http.Request, behind ...func(http.Handler) http.Handler) answer {
	t.Helper()
	var got answer
	var handler http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.who, _ = authn.FromContext(r.Context())
	})
	for _, middleware := range behind {
		handler = middleware(handler)
	}
	w := httptest.NewRecorder()
	f.auth.Authenticate(handler).ServeHTTP(w, r)
	got.status, got.outcome = w.Code, authn.OutcomeOK
	if w.Code != http.StatusOK {
		var refusal authn.Refusal
		if err := json.Unmarshal(w.Body.Bytes(), &refusal); err != nil {
			t.Fatalf("body %q: %v", w.Body, err)
		}
		got.outcome, got.message, got.remedy = refusal.Outcome, refusal.Message, refusal.Remedy
	}
	return got
}

func iapRequest(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://resiliency.example/letters", http.NoBody)
	r.Header.Set("X-Goog-IAP-JWT-Assertion", token)
	return r
}

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://resiliency.example/letters", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// gauge returns the value of a gauge without labels.
func (f *fixture) gauge(t *testing.T, metric string) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == metric {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", metric)
	return 0
}

// counted returns the value of the counter with that outcome.
func (f *fixture) counted(t *testing.T, metric string, outcome authn.Outcome) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if family.GetName() == metric && label.GetName() == "outcome" && label.GetValue() == string(outcome) {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

package authn_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/authn/authntest"
)

func TestNone_ServesThisMachineAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeNone)
	cases := []struct {
		remote, host string
		ok           bool
	}{
		{"127.0.0.1:4000", "localhost:8080", true},
		{"127.0.0.1:4000", "LOCALHOST", true},
		{"127.9.9.9:4000", "127.0.0.1:8080", true},
		{"[::1]:4000", "[::1]:8080", true},
		{"[::1]:4000", "[::1]", true},
		{"10.0.0.7:4000", "localhost:8080", false},
		{"127.0.0.1:4000", "evil.example:8080", false},
		{"127.0.0.1:4000", "localhost.evil.example", false},
		{"127.0.0.1:4000", "127.0.0.1.evil.example", false},
		{"127.0.0.1:4000", "10.0.0.7", false},
		{"127.0.0.1:4000", "", false},
		{"@", "localhost", false},
		{"", "localhost", false},
	}
	for _, tc := range cases {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr, r.Host = tc.remote, tc.host
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		got := f.call(t, r)
		if ok := got.status == http.StatusOK; ok != tc.ok {
			t.Errorf("from %q to %q: status %d, want let in %v", tc.remote, tc.host, got.status, tc.ok)
		}
		if !tc.ok && (got.status != http.StatusForbidden || got.outcome != authn.OutcomeNotLocal) {
			t.Errorf("from %q to %q: %+v", tc.remote, tc.host, got)
		}
		if tc.ok && (got.who.Role != authn.RoleOperator || !got.who.Read.All || got.who.Who() != "local") {
			t.Errorf("identity %+v", got.who)
		}
	}
}

func TestCheckListener(t *testing.T) {
	t.Parallel()
	none, iap := newFixture(t, authn.ModeNone), newFixture(t, authn.ModeIAP)
	for address, ok := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "10.0.0.7": false} {
		addr := &net.TCPAddr{IP: net.ParseIP(address), Port: 80}
		if err := none.auth.CheckListener(addr); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err := iap.auth.CheckListener(addr); err != nil {
			t.Errorf("iap on %s: %v", address, err)
		}
	}
	if none.auth.CheckListener(&net.UnixAddr{Name: "/x"}) == nil {
		t.Error("an address of another kind is taken for loopback")
	}
	if none.auth.Check(t.Context()); none.log.Len() > 0 {
		t.Errorf("check in mode none: %s", none.log)
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	for email, want := range map[string]int{"ana@example.com": http.StatusForbidden, "ops@example.com": http.StatusOK} {
		r := f.issuer.Request(t, httptest.NewRequest(http.MethodPost, "/", http.NoBody), email)
		got := f.call(t, r, f.auth.Require(authn.RoleOperator))
		if got.status != want {
			t.Errorf("%s: %+v, want %d", email, got, want)
		}
		if want == http.StatusForbidden && !strings.Contains(got.message, "ana@example.com has the role viewer") {
			t.Errorf("message %q", got.message)
		}
	}
	// Without Authenticate before it, nobody has a role.
	w := httptest.NewRecorder()
	f.auth.Require(authn.RoleViewer)(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d without identity, want 403", w.Code)
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := authn.Config{Mode: authn.ModeOIDC, Audiences: []string{"a"}, Viewers: []string{"*@example.com=*"}}
	change := func(f func(*authn.Config)) authn.Config { c := good; f(&c); return c }
	cases := []struct {
		name string
		cfg  authn.Config
		want []string
	}{
		{"good", good, nil},
		{"none", authn.Config{Mode: authn.ModeNone}, nil},
		{"none_with_rights", authn.Config{Mode: authn.ModeNone, Viewers: good.Viewers}, []string{"AUTH=none, where nobody has a name"}},
		{"nothing", authn.Config{Mode: authn.ModeIAP}, []string{"AUTH_AUDIENCE (--auth-audience): required with AUTH=iap", "name at least one caller"}},
		{"empty_audience", change(func(c *authn.Config) { c.Audiences = []string{""} }), []string{"AUTH_AUDIENCE"}},
		{"everybody", change(func(c *authn.Config) { c.Viewers = []string{"*=*"} }), []string{`"*=*" is not an entry`}},
		{"every_domain", change(func(c *authn.Config) { c.Viewers = []string{"*@*=*"} }), []string{`"*@*=*" is not an entry`}},
		{"no_tenants", change(func(c *authn.Config) { c.Operators = []string{"a@example.com"} }), []string{`"a@example.com" is not an entry`}},
		{"empty_tenant", change(func(c *authn.Config) { c.Operators = []string{"a@example.com=x,"} }), []string{`"" is not a tenant's name`}},
		{"star_among_names", change(func(c *authn.Config) { c.Operators = []string{"a@example.com=x,*"} }), []string{`"*" is not a tenant's name`}},
		{"other_issuer", change(func(c *authn.Config) { c.Issuer = "https://id.example.com" }), []string{"AUTH_KEYS_URL (--auth-keys-url): required"}},
		{"plain_http", change(func(c *authn.Config) { c.KeysURL = "http://keys.example.com/" }), []string{"must be https"}},
		{"loopback_http", change(func(c *authn.Config) { c.KeysURL = "http://127.0.0.1:1/" }), nil},
		{"no_url", change(func(c *authn.Config) { c.KeysURL = "https://" }), []string{"must be https"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.cfg.Validate()
			if (err == nil) != (len(tc.want) == 0) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			_, newErr := authn.New(tc.cfg, refuse, prometheus.NewRegistry(), time.Now, zerolog.Nop())
			if (newErr == nil) != (err == nil) {
				t.Errorf("New: %v", newErr)
			}
		})
	}
}

func TestConfig_ValidateListener(t *testing.T) {
	t.Parallel()
	none := authn.Config{Mode: authn.ModeNone}
	for address, ok := range map[string]bool{
		"127.0.0.1:0": true, "[::1]:80": true, "localhost:8080": true, ":8080": false, "0.0.0.0:80": false, "example.com:80": false, "x": false,
	} {
		if err := none.ValidateListener("HTTP_ADDR (--http-addr)", address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		iap := authntest.New(t).IAPConfig(viewers, nil)
		if err := iap.ValidateListener("HTTP_ADDR", address); err != nil {
			t.Errorf("iap on %s: %v", address, err)
		}
	}
}

package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/authn/authntest"
)

func TestAuthenticate_LetsIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	cases := []struct {
		email string
		want  authn.Identity
	}{
		{"ana@example.com", authn.Identity{Role: authn.RoleViewer, Read: authn.Tenants{Names: []string{"team-a"}}}},
		{"anybody@example.org", authn.Identity{Role: authn.RoleViewer, Read: authn.Tenants{Names: []string{"team-b"}}}},
		{"OPS@example.com", authn.Identity{
			Role: authn.RoleOperator,
			Read: authn.Tenants{Names: []string{"team-a", "team-c"}}, Operate: authn.Tenants{Names: []string{"team-a", "team-c"}},
		}},
		{"root@example.com", authn.Identity{Role: authn.RoleOperator, Read: authn.Tenants{All: true}, Operate: authn.Tenants{All: true}}},
	}
	for _, tc := range cases {
		got := f.call(t, iapRequest(f.issuer.Sign(t, "iap-1", authntest.IAP(tc.email, "aud", f.clock.now()))))
		tc.want.Email = strings.ToLower(tc.email)
		tc.want.Subject = "accounts.google.com:" + tc.email
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", tc.email, got.status, got.message)
		}
		if diff := cmp.Diff(tc.want, got.who); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.email, diff)
		}
	}
	if n := f.counted(t, "resiliency_authn_requests_total", authn.OutcomeOK); n != 4 {
		t.Errorf("%v requests counted as ok, want 4", n)
	}
	if n := f.issuer.Fetches.Load(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

func TestAuthenticate_LetsInBearer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeOIDC)
	token := f.issuer.Sign(t, "oidc-1", authntest.OIDC("ana@example.com", "aud", f.clock.now()))
	if got := f.call(t, bearer(token)); got.status != http.StatusOK || got.who.Who() != "ana@example.com" {
		t.Errorf("got %+v", got)
	}
	// Any of a token's audiences will do.
	token = f.issuer.Sign(t, "oidc-1", authntest.OIDC("ana@example.com", "", f.clock.now()).With("aud", []string{"x", "aud"}))
	if got := f.call(t, bearer(token)); got.status != http.StatusOK {
		t.Errorf("two audiences: %+v", got)
	}
}

func TestAuthenticate_RefusesClaims(t *testing.T) {
	t.Parallel()
	iap := newFixture(t, authn.ModeIAP)
	now := iap.clock.now()
	good := authntest.IAP("ana@example.com", "aud", now)
	cases := []struct {
		name   string
		claims authntest.Claims
		status int
		want   authn.Outcome
	}{
		{"other_issuer", good.With("iss", authntest.GoogleIssuer), 401, authn.OutcomeWrongIssuer},
		{"no_issuer", good.With("iss", nil), 401, authn.OutcomeWrongIssuer},
		{"other_audience", good.With("aud", "/projects/1/global/backendServices/2"), 401, authn.OutcomeWrongAudience},
		{"no_audience", good.With("aud", nil), 401, authn.OutcomeWrongAudience},
		{"audience_is_a_number", good.With("aud", 7), 401, authn.OutcomeBadClaims},
		{"expired", good.With("iat", now.Add(-11*time.Minute).Unix()).With("exp", now.Add(-time.Minute).Unix()), 401, authn.OutcomeExpired},
		{"expired_within_leeway", good.With("iat", now.Add(-10*time.Minute).Unix()).With("exp", now.Add(-20*time.Second).Unix()), 200, authn.OutcomeOK},
		{"no_expiry", good.With("exp", nil), 401, authn.OutcomeBadClaims},
		{"no_issue_time", good.With("iat", nil), 401, authn.OutcomeBadClaims},
		{"issued_in_the_future", good.With("iat", now.Add(time.Minute).Unix()), 401, authn.OutcomeNotYetValid},
		{"issued_a_moment_ahead", good.With("iat", now.Add(20*time.Second).Unix()), 200, authn.OutcomeOK},
		{"not_before", good.With("nbf", now.Add(time.Minute).Unix()), 401, authn.OutcomeNotYetValid},
		{"lives_too_long", good.With("exp", now.Add(time.Hour).Unix()), 401, authn.OutcomeBadClaims},
		{"lives_for_ever", good.With("exp", int64(math.MaxInt64/2)), 401, authn.OutcomeBadClaims},
		{"ends_before_it_begins", good.With("exp", now.Add(-10*time.Second).Unix()), 401, authn.OutcomeBadClaims},
		{"times_as_text", good.With("exp", "tomorrow"), 401, authn.OutcomeBadClaims},
		{"no_subject", good.With("sub", nil), 401, authn.OutcomeBadClaims},
		{"no_email", good.With("email", nil), 401, authn.OutcomeBadClaims},
		{"unknown_caller", good.With("email", "eve@example.com"), 403, authn.OutcomeNotAllowed},
		{"domain_as_suffix_only", good.With("email", "eve@notexample.org"), 403, authn.OutcomeNotAllowed},
		{"wildcard_as_address", good.With("email", "*@example.org.evil.example"), 403, authn.OutcomeNotAllowed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := iap.call(t, iapRequest(iap.issuer.Sign(t, "iap-1", tc.claims)))
			if got.status != tc.status || got.outcome != tc.want {
				t.Errorf("got %d %s (%s), want %d %s", got.status, got.outcome, got.message, tc.status, tc.want)
			}
			sentence(t, got)
		})
	}
}

func TestAuthenticate_RefusesUnverifiedAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeOIDC)
	for _, verified := range []any{false, nil} {
		claims := authntest.OIDC("ana@example.com", "aud", f.clock.now()).With("email_verified", verified)
		got := f.call(t, bearer(f.issuer.Sign(t, "oidc-1", claims)))
		if got.status != http.StatusUnauthorized || !strings.Contains(got.message, "not verified") {
			t.Errorf("email_verified %v: %+v", verified, got)
		}
	}
}

// Google verifies the address of a personal account once, when it is made.
func TestAuthenticate_RefusesPersonalAccounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeOIDC, "mail@gmail.com=team-a", "robot@p.iam.gserviceaccount.com=team-a", "*@gmail.com=team-b")
	for name, tc := range map[string]struct {
		email  string
		domain any
		status int
	}{
		"of_the_domain":                {"any@example.org", "example.org", 200},
		"of_the_domain_in_capitals":    {"Any@Example.org", "EXAMPLE.ORG", 200},
		"personal_by_domain":           {"any@example.org", nil, 403},
		"personal_by_address":          {"ana@example.com", nil, 403},
		"of_another_domain_by_domain":  {"any@example.org", "example.net", 403},
		"second_domain_by_address":     {"ana@example.com", "example.net", 200},
		"gmail":                        {"mail@gmail.com", nil, 200},
		"gmail_by_domain":              {"any@gmail.com", nil, 200},
		"service_account":              {"robot@p.iam.gserviceaccount.com", nil, 200},
		"looks_like_a_service_account": {"robot@gserviceaccount.com.example.org", nil, 403},
		"domain_is_no_text":            {"any@example.org", 7, 401},
	} {
		claims := authntest.OIDC(tc.email, "aud", f.clock.now()).With("hd", tc.domain)
		got := f.call(t, bearer(f.issuer.Sign(t, "oidc-1", claims)))
		if got.status != tc.status {
			t.Errorf("%s: got %+v, want status %d", name, got, tc.status)
		}
		sentence(t, got)
	}
}

// The entry for the whole domain is there: to ask for it again would not help.
func TestAuthenticate_TellsOfTheHostedDomain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeOIDC)
	for name, tc := range map[string]struct{ email, domain, want string }{
		"domain_has_an_entry":    {"any@example.org", "example.net", "belongs to example.net"},
		"domain_has_none":        {"eve@example.com", "example.net", "Ask for an entry"},
		"not_of_a_second_domain": {"eve@example.com", "example.com", "Ask for an entry"},
	} {
		claims := authntest.OIDC(tc.email, "aud", f.clock.now()).With("hd", tc.domain)
		got := f.call(t, bearer(f.issuer.Sign(t, "oidc-1", claims)))
		if got.status != http.StatusForbidden || !strings.Contains(got.remedy, tc.want) {
			t.Errorf("%s: got %+v, want a remedy with %q", name, got, tc.want)
		}
	}
}

// Another issuer than Google answers for its addresses itself.
func TestAuthenticate_AnotherIssuerNeedsNoHostedDomain(t *testing.T) {
	t.Parallel()
	f := &fixture{issuer: authntest.New(t), clock: newClock()}
	cfg := f.issuer.IAPConfig(viewers, operators)
	cfg.Mode, cfg.Issuer = authn.ModeOIDC, "https://login.example.com"
	var err error
	if f.auth, err = authn.New(cfg, refuse, prometheus.NewRegistry(), f.clock.now, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	claims := authntest.OIDC("any@example.org", "aud", f.clock.now()).With("iss", cfg.Issuer).With("hd", nil)
	if got := f.call(t, bearer(f.issuer.Sign(t, "oidc-1", claims))); got.status != http.StatusOK {
		t.Errorf("got %+v", got)
	}
}

func TestAuthenticate_RefusesForgery(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	good := authntest.IAP("root@example.com", "aud", f.clock.now())
	token := f.issuer.Sign(t, "iap-1", good)
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := base64.RawURLEncoding.EncodeToString

	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(f.issuer.Public("iap-1"))
	if err != nil {
		t.Fatal(err)
	}
	asSecret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	hmac := authntest.Sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: asSecret, KeyID: "iap-1"}}, good)
	own := authntest.Sign(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "iap-1"}}, good)

	cases := []struct {
		name, token string
		want        authn.Outcome
	}{
		{"alg_none", encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + ".", authn.OutcomeMalformed},
		{"alg_none_with_signature", encode([]byte(`{"alg":"none","kid":"iap-1"}`)) + "." + payload + "." + signature, authn.OutcomeMalformed},
		{"public_key_as_secret", hmac, authn.OutcomeMalformed},
		{"rs256_of_the_same_issuer", f.issuer.Sign(t, "oidc-1", good), authn.OutcomeMalformed},
		{"key_of_a_stranger", own, authn.OutcomeBadSignature},
		{"unknown_kid", strings.Replace(own, header, encode([]byte(`{"alg":"ES256","kid":"x"}`)), 1), authn.OutcomeUnknownKey},
		{"kid_of_another_algorithm", strings.Replace(token, header, encode([]byte(`{"alg":"ES256","kid":"oidc-1"}`)), 1), authn.OutcomeUnknownKey},
		{"no_kid", encode([]byte(`{"alg":"ES256"}`)) + "." + payload + "." + signature, authn.OutcomeUnknownKey},
		{"key_in_the_header", encode([]byte(`{"alg":"ES256","kid":"iap-1","jwk":{"kty":"EC"}}`)) + "." + rest, authn.OutcomeMalformed},
		{"critical_header", encode([]byte(`{"alg":"ES256","kid":"iap-1","crit":["x"],"x":1}`)) + "." + rest, authn.OutcomeBadSignature},
		{"short_signature", header + "." + payload + "." + encode([]byte("short")), authn.OutcomeBadSignature},
		{"one_byte_less", token[:len(token)-2], authn.OutcomeBadSignature},
		{"no_signature", header + "." + payload + ".", authn.OutcomeBadSignature},
		{"other_payload", header + "." + encode([]byte(`{"email":"root@example.com"}`)) + "." + signature, authn.OutcomeBadSignature},
		{"too_large", token + strings.Repeat("A", 9<<10), authn.OutcomeTooLarge},
		{"two_parts", header + "." + payload, authn.OutcomeMalformed},
		{"four_parts", token + ".x", authn.OutcomeMalformed},
		{"dots", "..", authn.OutcomeMalformed},
		{"garbage", "\x00\xff%%%", authn.OutcomeMalformed},
		{"empty", "", authn.OutcomeMalformed},
		{"json_serialization", `{"payload":"` + payload + `","signatures":[]}`, authn.OutcomeMalformed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := f.call(t, iapRequest(tc.token))
			if got.status != http.StatusUnauthorized || got.outcome != tc.want {
				t.Errorf("got %d %s (%s), want 401 %s", got.status, got.outcome, got.message, tc.want)
			}
			sentence(t, got)
		})
	}
}

func TestAuthenticate_RefusesHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeOIDC)
	token := f.issuer.Sign(t, "oidc-1", authntest.OIDC("ana@example.com", "aud", f.clock.now()))
	assertion := f.issuer.Sign(t, "iap-1", authntest.IAP("ana@example.com", "aud", f.clock.now()))
	twice := bearer(token)
	twice.Header.Add("Authorization", "Bearer "+token)
	basic := bearer(token)
	basic.Header.Set("Authorization", "Basic "+token)
	forged := iapRequest(assertion)
	forged.Header.Set("X-Goog-Authenticated-User-Email", "accounts.google.com:root@example.com")
	cases := map[string]struct {
		r    *http.Request
		want authn.Outcome
	}{
		"two_headers":   {twice, authn.OutcomeMalformed},
		"basic":         {basic, authn.OutcomeNoToken},
		"iap_assertion": {forged, authn.OutcomeNoToken},
		"iap_as_bearer": {bearer(assertion), authn.OutcomeMalformed},
	}
	for name, tc := range cases {
		if got := f.call(t, tc.r); got.status != http.StatusUnauthorized || got.outcome != tc.want {
			t.Errorf("%s: got %d %s, want 401 %s", name, got.status, got.outcome, tc.want)
		}
		if n := f.counted(t, "resiliency_authn_requests_total", tc.want); n == 0 {
			t.Errorf("%s is not counted", name)
		}
	}
}

// sentence holds that a refusal tells why in one plain sentence.
func sentence(t *testing.T, got answer) {
	t.Helper()
	if got.status == http.StatusOK {
		return
	}
	if !strings.HasSuffix(got.message, ".") || strings.Contains(got.message, "go-jose") || strings.Count(got.message, "\n") > 0 {
		t.Errorf("not one plain sentence: %q", got.message)
	}
}

func FuzzAuthenticate(f *testing.F) {
	issuer := authntest.New(f)
	clk := newClock()
	fx := &fixture{issuer: issuer, clock: clk}
	fx.auth = must(f, issuer, clk)
	token := issuer.Sign(f, "iap-1", authntest.IAP("ana@example.com", "aud", clk.now()))
	for _, seed := range []string{
		token, token[:len(token)-20], "..", "a.b.c", "", strings.Repeat(".", 100),
		`eyJhbGciOiJub25lIn0.e30.`, `eyJhbGciOiJFUzI1NiIsImtpZCI6ImlhcC0xIn0.e30.AAAA`, fmt.Sprintf("%s.%s", token, token),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := fx.call(t, iapRequest(raw))
		if got.status == http.StatusOK && !sameToken(raw, token) {
			t.Errorf("let in with %q", raw)
		}
		sentence(t, got)
	})
}

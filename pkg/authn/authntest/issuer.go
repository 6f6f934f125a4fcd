// Package authntest is a token issuer for tests: it serves its keys over HTTP as
// Google does and signs whatever claims a test wants, right or wrong. It is never
// part of a service.
package authntest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/envision/resiliency/pkg/authn"
)

// The issuers that pkg/authn expects by default.
const (
	IAPIssuer    = "https://cloud.google.com/iap"
	GoogleIssuer = "https://accounts.google.com"
)

// Claims are the claims of a token.
type Claims map[string]any

// Issuer has one ES256 key, "iap-1", and one RS256 key, "oidc-1", made when it first signs.
type Issuer struct {
	// URL is where the keys are served.
	URL string
	// Fetches counts requests for the keys; Down makes them fail with status 500.
	Fetches atomic.Int64
	Down    atomic.Bool

	mu   sync.Mutex
	keys map[string]jose.SigningKey
}

// New starts an issuer that ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{keys: map[string]jose.SigningKey{}}
	i.AddES256(t, "iap-1")
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/keys"
	return i
}

// AddES256 makes an ES256 key of that id, as a rotation does.
func (i *Issuer) AddES256(t testing.TB, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[kid] = jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}
}

// newRS256 takes a second or two, so it is done only when it is needed.
func newRS256(t testing.TB, kid string) jose.SigningKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}
}

// Public returns the public part of a key.
func (i *Issuer) Public(kid string) any {
	i.mu.Lock()
	defer i.mu.Unlock()
	key, _ := i.keys[kid].Key.(jose.JSONWebKey)
	return key.Public().Key
}

func (i *Issuer) serve(w http.ResponseWriter, _ *http.Request) {
	i.Fetches.Add(1)
	if i.Down.Load() {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	// A key of a kind that nobody knows yet must do no harm.
	list := []any{json.RawMessage(`{"kty":"LATTICE","kid":"new"}`)}
	for _, k := range i.keys {
		key, _ := k.Key.(jose.JSONWebKey)
		public := key.Public()
		public.Use, public.Algorithm = "sig", string(k.Algorithm)
		list = append(list, public)
	}
	body, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(body)
}

// Sign signs claims with the key of that id.
func (i *Issuer) Sign(t testing.TB, kid string, c Claims) string {
	t.Helper()
	i.mu.Lock()
	key, ok := i.keys[kid]
	if !ok && kid == "oidc-1" {
		key = newRS256(t, kid)
		i.keys[kid] = key
	}
	i.mu.Unlock()
	return Sign(t, key, c)
}

// Sign signs claims with any key and algorithm.
func Sign(t testing.TB, key jose.SigningKey, c Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any(c)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// IAP returns the claims of a good assertion of IAP, issued at now for ten minutes.
func IAP(email, audience string, now time.Time) Claims {
	return Claims{
		"iss": IAPIssuer, "aud": audience, "sub": "accounts.google.com:" + email, "email": email,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// OIDC returns the claims of a good token of Google for an account of its
// address's domain, issued at now for an hour.
func OIDC(email, audience string, now time.Time) Claims {
	_, domain, _ := strings.Cut(email, "@")
	return Claims{
		"iss": GoogleIssuer, "aud": audience, "sub": "id-of-" + email, "email": email, "email_verified": true, "hd": domain,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// With returns the claims with one changed; nil takes it out.
func (c Claims) With(name string, value any) Claims {
	out := Claims{name: value}
	for k, v := range c {
		if k != name {
			out[k] = v
		}
	}
	if value == nil {
		delete(out, name)
	}
	return out
}

// IAPConfig is a configuration that trusts this issuer's IAP assertions for "aud".
func (i *Issuer) IAPConfig(viewers, operators []string) authn.Config {
	return authn.Config{
		Mode: authn.ModeIAP, Audiences: []string{"aud"}, KeysURL: i.URL, Viewers: viewers, Operators: operators,
	}
}

// Request gives a request a good assertion of IAP for that address and "aud".
func (i *Issuer) Request(t testing.TB, r *http.Request, email string) *http.Request {
	t.Helper()
	r.Header.Set("X-Goog-Iap-Jwt-Assertion", i.Sign(t, "iap-1", IAP(email, "aud", time.Now())))
	return r
}

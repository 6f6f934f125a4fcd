package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/envision/resiliency/test/deadmail"
	"github.com/envision/resiliency/test/stack"
)

// The callers: one who may see everything, and one who is bound to two tenants.
const (
	operator, reader = "operator@example.com", "reader@example.com"
	audience         = "/projects/1/global/backendServices/1"
)

// letterAPI is dlq-handler's API with callers that prove who they are, as in
// production: no figure is without what that costs.
type letterAPI struct {
	url    string
	client *http.Client
	keys   *httptest.Server
	signer jose.Signer
}

// startLetterAPI starts dlq-handler. It looks for nothing by itself, so that every
// read is one of the list's.
func startLetterAPI(ctx context.Context, p *stack.Project, bin string) (*letterAPI, error) {
	a := &letterAPI{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	if err := a.issue(); err != nil {
		return nil, err
	}
	spec := stack.DLQHandler()
	spec.Binary = filepath.Join(bin, spec.Binary)
	spec.Env = append(spec.Env, "AUTH=iap", "AUTH_AUDIENCE="+audience, "AUTH_KEYS_URL="+a.keys.URL,
		"AUTH_OPERATORS="+operator+"=*", "AUTH_VIEWERS="+reader+"="+deadmail.Tenant(someLetter)+","+deadmail.Tenant(0),
		"HTTP_RATE=100000", "HTTP_BURST=100000", "OPERATION_LEASE=1h", "AUTO_REPLAY_DEPENDENCIES=none",
		"SWEEP_EVERY=24h",
		// The emulator has no indexes: its first query looks at every letter.
		"FIRESTORE_TIMEOUT=1m")
	process, err := p.StartService(ctx, spec)
	if err != nil {
		a.close()
		return nil, err
	}
	a.url = process.URL()
	return a, nil
}

// issue makes a key and serves its public half, as IAP does.
func (a *letterAPI) issue() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "bench", Algorithm: string(jose.ES256), Use: "sig"}
	if a.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil); err != nil {
		return fmt.Errorf("use a key: %w", err)
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	a.keys = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(public) }))
	return nil
}

func (a *letterAPI) close() {
	a.client.CloseIdleConnections()
	a.keys.Close()
}

// get returns the body of a good answer.
func (a *letterAPI) get(ctx context.Context, caller, path string) ([]byte, error) {
	now := time.Now()
	token, err := jwt.Signed(a.signer).Claims(map[string]any{
		"iss": "https://cloud.google.com/iap", "aud": audience, "sub": "accounts.google.com:" + caller, "email": caller,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}).Serialize()
	if err != nil {
		return nil, fmt.Errorf("sign a token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	request.Header.Set("X-Goog-Iap-Jwt-Assertion", token)
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return body, nil
}

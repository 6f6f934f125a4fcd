package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// keysMaxAge is when keys are fetched anew though all that is asked for is known.
	keysMaxAge = time.Hour
	// keysRest is the least time between two fetches: tokens with invented key ids
	// must not turn into requests to the issuer. A rotated key works after as long.
	keysRest = 30 * time.Second
	// keysRestEmpty is the same as long as there are no keys at all.
	keysRestEmpty = time.Second
	// keysAgain is how often they are asked for by ourselves as long.
	keysAgain    = 30 * time.Second
	keysTimeout  = 5 * time.Second
	keysMaxBytes = 1 << 20
)

// errUnknownKey says that the issuer has no such key, errNoKeys that nobody can
// tell because no keys were ever fetched.
var (
	errUnknownKey = errors.New("unknown key")
	errNoKeys     = errors.New("no keys")
)

// keySet is one fetched set, never changed.
type keySet struct {
	keys    []jose.JSONWebKey
	fetched time.Time
}

func (s *keySet) find(kid string, alg jose.SignatureAlgorithm) *jose.JSONWebKey {
	if s == nil {
		return nil
	}
	for i := range s.keys {
		if k := &s.keys[i]; k.KeyID == kid && (k.Algorithm == "" || k.Algorithm == string(alg)) {
			return k
		}
	}
	return nil
}

// keys are the issuer's public keys, fetched when they are needed. Keys that
// are known stay in use while the issuer cannot be reached.
type keys struct {
	url     string
	client  *http.Client
	now     func() time.Time
	log     zerolog.Logger
	fetches *prometheus.CounterVec
	// again is how often they are asked for while there are none.
	again time.Duration

	set atomic.Pointer[keySet]
	// mu is held by the one who fetches; tried is when somebody last did.
	mu    sync.Mutex
	tried time.Time
}

// find returns the key of that id. Only who needs a key that is not known waits
// for a fetch; of the others one fetches when the keys are old.
func (k *keys) find(ctx context.Context, kid string, alg jose.SignatureAlgorithm) (*jose.JSONWebKey, error) {
	set := k.set.Load()
	key := set.find(kid, alg)
	switch {
	case key == nil:
		k.mu.Lock()
	case k.now().Sub(set.fetched) < keysMaxAge || !k.mu.TryLock():
		return key, nil
	}
	defer k.mu.Unlock()
	// Whoever held the lock before may have fetched it.
	if latest := k.set.Load(); latest == set {
		// Not the caller's context: one who hangs up must not spoil it for all.
		k.refresh(context.WithoutCancel(ctx))
	}
	set = k.set.Load()
	if set == nil {
		return nil, errNoKeys
	}
	if key = set.find(kid, alg); key == nil {
		return nil, errUnknownKey
	}
	return key, nil
}

// known fetches the keys if there are none yet, and tells whether there are.
func (k *keys) known(ctx context.Context) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set.Load() == nil {
		k.refresh(ctx)
	}
	return k.set.Load() != nil
}

// await fetches the keys until there are some or ctx ends.
func (k *keys) await(ctx context.Context) {
	ticker := time.NewTicker(k.again)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if k.known(ctx) {
				k.log.Info().Str("keys_url", k.url).Msg("the keys of the token issuer are there: people can sign in")
				return
			}
		}
	}
}

// refresh fetches the keys unless somebody just did. The lock is held.
func (k *keys) refresh(ctx context.Context) {
	rest := keysRest
	if k.set.Load() == nil {
		rest = keysRestEmpty
	}
	if !k.tried.IsZero() && k.now().Sub(k.tried) < rest {
		return
	}
	k.tried = k.now()
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	list, err := k.fetch(ctx)
	if err != nil {
		k.fetches.WithLabelValues("failed").Inc()
		k.log.Warn().Err(err).Bool("old_keys_in_use", k.set.Load() != nil).Msg("keys of the token issuer not fetched")
		return
	}
	k.fetches.WithLabelValues("ok").Inc()
	k.set.Store(&keySet{keys: list, fetched: k.now()})
}

func (k *keys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch keys from %s: %w", k.url, err)
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys from %s: status %d", k.url, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, keysMaxBytes))
	if err != nil {
		return nil, fmt.Errorf("read keys from %s: %w", k.url, err)
	}
	list, err := parseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("keys from %s: %w", k.url, err)
	}
	return list, nil
}

// parseKeys reads a JWK set. A key of a kind that is not known is left out, as
// RFC 7517 section 5 asks; so is one that is not for signatures, or is no public key.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("not a JWK set: %w", err)
	}
	var list []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil {
			continue
		}
		if key.KeyID != "" && key.IsPublic() && key.Valid() && (key.Use == "" || key.Use == "sig") {
			list = append(list, key)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no usable key in the set")
	}
	return list, nil
}

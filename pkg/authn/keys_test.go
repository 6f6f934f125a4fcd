package authn_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/authn/authntest"
)

func must(t testing.TB, issuer *authntest.Issuer, clk *clock) *authn.Authenticator {
	t.Helper()
	auth, err := authn.New(issuer.IAPConfig(viewers, operators), refuse, prometheus.NewRegistry(), clk.now, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// sameToken compares up to what base64 leaves open in the last character.
func sameToken(a, b string) bool { return len(a) == len(b) && a[:len(a)-1] == b[:len(b)-1] }

func (f *fixture) iap(t *testing.T, kid string) answer {
	t.Helper()
	return f.call(t, iapRequest(f.issuer.Sign(t, kid, authntest.IAP("ana@example.com", "aud", f.clock.now()))))
}

func TestKeys_Rotation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	if got := f.iap(t, "iap-1"); got.status != http.StatusOK {
		t.Fatalf("first: %+v", got)
	}
	f.issuer.AddES256(t, "iap-2")
	if got := f.iap(t, "iap-2"); got.outcome != authn.OutcomeUnknownKey {
		t.Errorf("within the rest: %+v", got)
	}
	f.clock.add(31 * time.Second)
	if got := f.iap(t, "iap-2"); got.status != http.StatusOK {
		t.Errorf("after the rest: %+v", got)
	}
	if n := f.issuer.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestKeys_InventedIDsDoNotReachTheIssuer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	f.iap(t, "iap-1")
	f.issuer.AddES256(t, "gone")
	token := f.issuer.Sign(t, "gone", authntest.IAP("ana@example.com", "aud", f.clock.now()))
	f.clock.add(time.Second)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := f.call(t, iapRequest(token)); got.outcome != authn.OutcomeUnknownKey {
				t.Errorf("got %+v", got)
			}
		})
	}
	wg.Wait()
	if n := f.issuer.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestKeys_OldKeysServeWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	f.auth.Check(t.Context())
	f.issuer.Down.Store(true)
	f.clock.add(48 * time.Hour)
	for range 5 {
		if got := f.iap(t, "iap-1"); got.status != http.StatusOK {
			t.Fatalf("while down: %+v", got)
		}
	}
	if n := f.issuer.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2: the failed one is not repeated at once", n)
	}
	if n := f.counted(t, "resiliency_authn_key_fetches_total", "failed"); n != 1 {
		t.Errorf("%v failed fetches counted, want 1", n)
	}
	f.auth.Check(t.Context())
	if f.gauge(t, "resiliency_authn_keys_known") != 1 || strings.Contains(f.log.String(), "nobody can sign in") {
		t.Errorf("old keys count as none: %s", f.log)
	}
}

func TestKeys_NeverFetched(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	f.issuer.Down.Store(true)
	f.auth.Check(t.Context())
	if f.gauge(t, "resiliency_authn_keys_known") != 0 || !strings.Contains(f.log.String(), "nobody can sign in") {
		t.Errorf("check passes without keys: %s", f.log)
	}
	got := f.iap(t, "iap-1")
	if got.status != http.StatusServiceUnavailable || got.outcome != authn.OutcomeKeysUnavailable {
		t.Errorf("got %+v", got)
	}
	f.issuer.Down.Store(false)
	f.clock.add(2 * time.Second)
	if got := f.iap(t, "iap-1"); got.status != http.StatusOK {
		t.Errorf("after the outage: %+v", got)
	}
	if f.gauge(t, "resiliency_authn_keys_known") != 1 {
		t.Error("keys that are there are not counted")
	}
}

// A warning that nobody can sign in must not stand until somebody tries to.
func TestKeys_KnownAgainWithoutARequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	f.auth.SetRecheck(time.Millisecond)
	f.issuer.Down.Store(true)
	f.auth.Check(t.Context())
	if f.gauge(t, "resiliency_authn_keys_known") != 0 {
		t.Fatal("keys are known while the issuer is down")
	}
	f.issuer.Down.Store(false)
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for f.gauge(t, "resiliency_authn_keys_known") == 0 {
		f.clock.add(time.Second)
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the keys are not fetched again")
		}
	}
}

func TestKeys_FirstRequestsWaitForOneFetch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, authn.ModeIAP)
	token := f.issuer.Sign(t, "iap-1", authntest.IAP("ana@example.com", "aud", f.clock.now()))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := f.call(t, iapRequest(token)); got.status != http.StatusOK {
				t.Errorf("got %+v", got)
			}
		})
	}
	wg.Wait()
	if n := f.issuer.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

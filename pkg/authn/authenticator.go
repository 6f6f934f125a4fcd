package authn

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// iapHeader carries IAP's assertion. Its other headers (x-goog-authenticated-…)
// are never read: anybody who gets past the proxy can set them.
const iapHeader = "X-Goog-Iap-Jwt-Assertion"

// Refuse answers a caller who is not let in.
type Refuse func(w http.ResponseWriter, r *http.Request, refusal *Refusal)

// Authenticator lets callers in or refuses them. It is safe for concurrent use.
type Authenticator struct {
	mode     string
	verifier *verifier // nil in mode none
	allowed  allowList
	refuse   Refuse
	log      zerolog.Logger
	requests *prometheus.CounterVec
}

// New returns an Authenticator for a configuration that Validate approves. It
// fetches nothing yet; see Check. now is the clock against which tokens are judged.
func New(
	cfg Config, refuse Refuse, reg prometheus.Registerer, now func() time.Time, log zerolog.Logger,
) (*Authenticator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	allowed, err := parseAllowList(cfg.Viewers, cfg.Operators)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{
		mode: cfg.Mode, allowed: allowed, refuse: refuse, log: log,
		requests: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_authn_requests_total",
			Help: "Requests whose caller was checked, by mode and outcome.",
		}, []string{"mode", "outcome"}),
	}
	switch cfg.Mode {
	case ModeNone:
		return a, nil
	case ModeIAP, ModeOIDC:
		a.verifier = newVerifier(&cfg, reg, now, log)
		return a, nil
	default:
		return nil, fmt.Errorf("AUTH (--auth): %q is not one of iap, oidc, none", cfg.Mode)
	}
}

func newVerifier(cfg *Config, reg prometheus.Registerer, now func() time.Time, log zerolog.Logger) *verifier {
	v := &verifier{
		algorithm: jose.RS256, issuer: cfg.issuer(), audiences: cfg.Audiences, maxLifetime: cfg.maxLifetime(),
		needVerified: cfg.Mode == ModeOIDC, now: now,
	}
	if cfg.Mode == ModeIAP {
		v.algorithm = jose.ES256
	}
	v.keys = &keys{
		url: cfg.keysURL(), now: now, log: log, again: keysAgain,
		client: &http.Client{
			// Keys come from where the configuration says and from nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		fetches: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_authn_key_fetches_total",
			Help: "Fetches of the token issuer's keys, by outcome.",
		}, []string{"outcome"}),
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "resiliency_authn_keys_known",
		Help: "1 if keys of the token issuer are known, 0 while none could be fetched: nobody can sign in.",
	}, func() float64 {
		if v.keys.set.Load() == nil {
			return 0
		}
		return 1
	})
	return v
}

// Check fetches the issuer's keys if there are none yet, so that a wrong URL or a
// way that is shut is told at the start and not to the first caller: it logs what
// to do. It is no reason to end, for the keys are asked for again when somebody
// calls, and in the background until they are there or ctx ends.
func (a *Authenticator) Check(ctx context.Context) {
	if a.verifier == nil {
		return
	}
	if k := a.verifier.keys; !k.known(ctx) {
		a.log.Warn().Str("keys_url", k.url).
			Str("remedy", "Check AUTH_KEYS_URL and that this process may reach it (egress, proxy, DNS).").
			Msg("nobody can sign in: the keys of the token issuer are not there")
		go k.await(ctx)
	}
}

// CheckListener returns an error when mode none would serve other machines.
// Call it with the address that the server really listens on.
func (a *Authenticator) CheckListener(addr net.Addr) error {
	if a.mode != ModeNone {
		return nil
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen on %s: AUTH=none serves this machine alone (use 127.0.0.1, [::1] or localhost)", addr)
}

// Authenticate is a middleware that lets in only callers with a right to
// something and puts their Identity into the request's context.
func (a *Authenticator) Authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		identity, err := a.identify(r)
		if err != nil {
			a.answer(w, r, err)
			return
		}
		a.requests.WithLabelValues(a.mode, string(OutcomeOK)).Inc()
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), identity)))
	})
}

// Require is a middleware behind Authenticate that lets in only callers who have
// at least that role for some tenant. For which tenant is the handler's to check.
func (a *Authenticator) Require(role Role) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			identity, _ := FromContext(r.Context())
			if identity.Role < role {
				a.answer(w, r, forbidden(OutcomeRoleTooLow, identity.Who(),
					fmt.Sprintf("This needs the role %s; %s has the role %s.", role, identity.Who(), identity.Role),
					"Ask an operator, or ask for the role in AUTH_OPERATORS."))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (a *Authenticator) answer(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	a.requests.WithLabelValues(a.mode, string(refusal.Outcome)).Inc()
	a.log.Info().Str("outcome", string(refusal.Outcome)).Str("mode", a.mode).Str("caller", refusal.caller).
		Str("remote_addr", r.RemoteAddr).Msg("caller refused")
	if refusal.Status == http.StatusUnauthorized && a.mode == ModeOIDC {
		w.Header().Set("WWW-Authenticate", `Bearer realm="resiliency"`)
	}
	a.refuse(w, r, refusal)
}

func (a *Authenticator) identify(r *http.Request) (Identity, *Refusal) {
	if a.mode == ModeNone {
		return identifyLocal(r)
	}
	raw, refusal := a.token(r)
	if refusal != nil {
		return Identity{}, refusal
	}
	c, refusal := a.verifier.verify(r.Context(), raw)
	if refusal != nil {
		return Identity{}, refusal
	}
	by := a.verifier.vouches(c)
	if !by.address {
		return Identity{}, forbidden(OutcomeNotAllowed, c.Email,
			fmt.Sprintf("The Google account %s is a personal one, which proves nothing about who has that address now.", c.Email),
			"Sign in with the account that your organisation gave you (Google Workspace or Cloud Identity).")
	}
	identity := a.allowed.identify(c.Subject, c.Email, by)
	if identity.Role == RoleNone {
		remedy := "Ask for an entry in AUTH_VIEWERS or AUTH_OPERATORS."
		if entry := a.allowed.domainOf(identity.Email); entry != "" && !by.domain {
			remedy = fmt.Sprintf("The entry %s does not count here, for the account belongs to %s: "+
				"ask for an entry with the address itself in AUTH_VIEWERS or AUTH_OPERATORS.", entry, c.HostedDomain)
		}
		return Identity{}, forbidden(OutcomeNotAllowed, identity.Email,
			fmt.Sprintf("%s is not among those who may use this service.", identity.Email), remedy)
	}
	return identity, nil
}

// token takes the one token from the one header of the mode.
func (a *Authenticator) token(r *http.Request) (string, *Refusal) {
	header := "Authorization"
	if a.mode == ModeIAP {
		header = iapHeader
	}
	values := r.Header.Values(header)
	switch len(values) {
	case 0:
		return "", unauthorized(OutcomeNoToken, "The request has no token in the header "+header+".")
	case 1:
	default:
		return "", unauthorized(OutcomeMalformed, "The request has more than one header "+header+".")
	}
	if a.mode == ModeIAP {
		return values[0], nil
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", unauthorized(OutcomeNoToken, "The header Authorization has no bearer token.")
	}
	return raw, nil
}

// identifyLocal lets in who calls from this machine and by a name of this
// machine: a page that a browser loaded from elsewhere can make its own name
// point here, but it cannot change the name in the request.
func identifyLocal(r *http.Request) (Identity, *Refusal) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(remote); err != nil || ip == nil || !ip.IsLoopback() || !loopbackName(host) {
		return Identity{}, forbidden(OutcomeNotLocal, "",
			"This service runs without sign-in and serves only callers on its own machine.",
			"Call it as http://localhost or http://127.0.0.1, or run it with AUTH=iap or AUTH=oidc.")
	}
	all := Tenants{All: true}
	return Identity{Subject: "local", Role: RoleOperator, Read: all, Operate: all}, nil
}

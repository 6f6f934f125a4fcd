package authn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The modes of Config.Mode.
const (
	// ModeIAP checks the assertion of Google's Identity-Aware Proxy.
	ModeIAP = "iap"
	// ModeOIDC checks a bearer token of an OpenID Connect issuer.
	ModeOIDC = "oidc"
	// ModeNone lets in everybody on this machine, and nobody else.
	ModeNone = "none"
)

// Where IAP and Google publish their issuer and keys; see
// cloud.google.com/iap/docs/signed-headers-howto and accounts.google.com's
// OpenID configuration.
const (
	iapIssuer    = "https://cloud.google.com/iap"
	iapKeysURL   = "https://www.gstatic.com/iap/verify/public_key-jwk"
	googleIssuer = "https://accounts.google.com"
	googleKeys   = "https://www.googleapis.com/oauth2/v3/certs"
)

// Config says who may call. Embed it in a service's configuration:
//
//	Auth authn.Config `embed:""`
type Config struct {
	// Mode is ModeIAP, ModeOIDC or ModeNone. It has no default: an API is open
	// only where somebody said so.
	Mode string `name:"auth" env:"AUTH" required:"" enum:"iap,oidc,none" help:"Who may call the API: callers that IAP lets through (iap), holders of an OIDC token (oidc), everybody on this machine (none): ${enum}."`
	// Audiences are those that a token may be for; any one is enough.
	Audiences []string `name:"auth-audience" env:"AUTH_AUDIENCE" help:"Audience that tokens must be for; for IAP /projects/NUMBER/global/backendServices/ID."`
	// Issuer of the tokens; empty is that of IAP or of Google.
	Issuer string `name:"auth-issuer" env:"AUTH_ISSUER" help:"Issuer of the tokens; default that of IAP or of Google."`
	// KeysURL is where the issuer publishes its keys as a JWK set.
	KeysURL string `name:"auth-keys-url" env:"AUTH_KEYS_URL" help:"Where the issuer publishes its keys (JWK set); default that of IAP or of Google."`
	// Viewers may read, Operators may also change what belongs to their tenants.
	Viewers   []string `name:"auth-viewers" env:"AUTH_VIEWERS" sep:";" help:"Who may read, as ana@example.com=team-a,team-b;*@example.com=team-c (* alone: all tenants). With Google's tokens (oidc) *@example.com is for accounts whose own domain (hd) is example.com: name others by their address."`
	Operators []string `name:"auth-operators" env:"AUTH_OPERATORS" sep:";" help:"Who may read and change, in the form of the viewers."`
}

// Validate returns everything that is wrong, joined.
func (c *Config) Validate() error {
	if c.Mode == ModeNone || c.Mode == "" {
		// Absent is told by the tag. Rights need a proved name, which none does not have.
		if c.Mode == ModeNone && len(c.Viewers)+len(c.Operators) > 0 {
			return errors.New("AUTH_VIEWERS, AUTH_OPERATORS: have no meaning with AUTH=none, where nobody has a name")
		}
		return nil
	}
	var errs []error
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		errs = append(errs, fmt.Errorf("AUTH_AUDIENCE (--auth-audience): required with AUTH=%s, or a token for any service would do", c.Mode))
	}
	if len(c.Viewers)+len(c.Operators) == 0 {
		errs = append(errs, errors.New("AUTH_VIEWERS, AUTH_OPERATORS: name at least one caller, or nobody could do anything"))
	}
	if _, err := parseAllowList(c.Viewers, c.Operators); err != nil {
		errs = append(errs, err)
	}
	if c.KeysURL != "" && !safeURL(c.KeysURL) {
		errs = append(errs, fmt.Errorf("AUTH_KEYS_URL (--auth-keys-url): %q must be https (http only to this machine)", c.KeysURL))
	}
	if c.Mode == ModeOIDC && c.Issuer != "" && c.Issuer != googleIssuer && c.KeysURL == "" {
		errs = append(errs, errors.New("AUTH_KEYS_URL (--auth-keys-url): required when AUTH_ISSUER is not Google"))
	}
	return errors.Join(errs...)
}

// ValidateListener returns an error when address, as given to net.Listen, is
// open to other machines although the mode lets everybody in.
func (c *Config) ValidateListener(setting, address string) error {
	if c.Mode != ModeNone {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || !loopbackName(host) {
		return fmt.Errorf("%s: AUTH=none serves this machine alone, so listen on 127.0.0.1, [::1] or localhost and not on %q", setting, address)
	}
	return nil
}

// safeURL reports whether keys from url can be trusted to be the issuer's.
func safeURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && loopbackName(u.Hostname()))
}

// loopbackName reports whether a host name or address means this machine.
func loopbackName(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) issuer() string {
	switch {
	case c.Issuer != "":
		return c.Issuer
	case c.Mode == ModeIAP:
		return iapIssuer
	default:
		return googleIssuer
	}
}

func (c *Config) keysURL() string {
	switch {
	case c.KeysURL != "":
		return c.KeysURL
	case c.Mode == ModeIAP:
		return iapKeysURL
	default:
		return googleKeys
	}
}

// maxLifetime is the longest life of a token. IAP promises ten minutes; for
// OIDC it only keeps out tokens that somebody made to last.
func (c *Config) maxLifetime() time.Duration {
	if c.Mode == ModeIAP {
		return 10*time.Minute + 2*leeway
	}
	return 24 * time.Hour
}

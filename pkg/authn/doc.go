// Package authn tells who calls an HTTP API and what they may do there: tokens
// of Google's Identity-Aware Proxy or of an OpenID Connect issuer are checked
// (signature, algorithm, issuer, audience, times), and the caller is looked up in
// an allow-list of viewers and operators, each bound to tenants. Of Google's own
// tokens only the addresses count that Google vouches for: a personal account that
// was made with the address of a company is refused, whatever the list says.
//
// The mode "none" is for one machine: it accepts only callers on the loopback
// interface who ask for a loopback name, so that no web page elsewhere can reach
// the API through the user's browser.
//
// The package never logs a token, never issues one and never renders a page: how
// a refusal looks is the caller's business.
package authn

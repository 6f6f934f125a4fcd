package authn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// leeway is how far clocks may differ; IAP's own figure.
	leeway = 30 * time.Second
	// maxToken bounds what is parsed for somebody who is not known yet. Google's
	// tokens have about 1 KiB.
	maxToken = 8 << 10
)

// verifier checks tokens of one issuer.
type verifier struct {
	keys        *keys
	algorithm   jose.SignatureAlgorithm
	issuer      string
	audiences   []string
	maxLifetime time.Duration
	// needVerified asks for email_verified, which IAP's tokens do not have.
	needVerified bool
	now          func() time.Time
}

// claims are those of a token that are read.
type claims struct {
	jwt.Claims

	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	// HostedDomain is the domain of the organisation that a Google account is of.
	HostedDomain string `json:"hd"`
}

// verify returns the claims of a token, or the Refusal that says what is wrong
// with it.
func (v *verifier) verify(ctx context.Context, raw string) (*claims, *Refusal) {
	if len(raw) > maxToken {
		return nil, unauthorized(OutcomeTooLarge, "The token is too large.")
	}
	// Only the one algorithm: neither none nor a key used as a shared secret.
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{v.algorithm})
	if err != nil || len(token.Headers) != 1 {
		return nil, unauthorized(OutcomeMalformed, "The token is not one that is signed with "+string(v.algorithm)+".")
	}
	kid := token.Headers[0].KeyID
	if kid == "" {
		return nil, unauthorized(OutcomeUnknownKey, "The token does not tell the key that signed it.")
	}
	key, err := v.keys.find(ctx, kid, v.algorithm)
	switch {
	case errors.Is(err, errUnknownKey):
		return nil, unauthorized(OutcomeUnknownKey, "The token was signed with a key that its issuer does not have.")
	case err != nil:
		return nil, &Refusal{
			Status: http.StatusServiceUnavailable, Outcome: OutcomeKeysUnavailable,
			Message: "The token cannot be checked because its issuer's keys cannot be fetched.",
			Remedy:  "Try again in a minute; if it stays, check the way to the keys' URL.",
		}
	}
	if err := token.Claims(key.Key); err != nil {
		return nil, unauthorized(OutcomeBadSignature, "The token's signature is wrong.")
	}
	var c claims
	if err := token.UnsafeClaimsWithoutVerification(&c); err != nil { // verified above
		return nil, unauthorized(OutcomeBadClaims, "The token's claims cannot be read.")
	}
	if refusal := v.judge(&c); refusal != nil {
		return nil, refusal
	}
	return &c, nil
}

// judge checks the claims of a token whose signature is right.
func (v *verifier) judge(c *claims) *Refusal {
	// What the library takes for optional is required here.
	if c.Expiry == nil || c.IssuedAt == nil || c.Subject == "" {
		return unauthorized(OutcomeBadClaims, "The token lacks its subject or its times.")
	}
	err := c.ValidateWithLeeway(jwt.Expected{Issuer: v.issuer, AnyAudience: v.audiences, Time: v.now()}, leeway)
	switch {
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return unauthorized(OutcomeWrongIssuer, "The token is from another issuer.")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return unauthorized(OutcomeWrongAudience, "The token is for another audience.")
	case errors.Is(err, jwt.ErrExpired):
		return unauthorized(OutcomeExpired, "The token has expired.")
	case err != nil:
		return unauthorized(OutcomeNotYetValid, "The token is not valid yet; its time lies in the future.")
	}
	// As whole seconds: a difference of two times saturates.
	if life := int64(*c.Expiry) - int64(*c.IssuedAt); life < 0 || life > int64(v.maxLifetime/time.Second) {
		return unauthorized(OutcomeBadClaims, "The token is valid for longer than its issuer grants.")
	}
	if c.Email == "" {
		return unauthorized(OutcomeBadClaims, "The token does not tell an e-mail address.")
	}
	if v.needVerified && !c.EmailVerified {
		return unauthorized(OutcomeBadClaims, "The token's e-mail address is not verified.")
	}
	return nil
}

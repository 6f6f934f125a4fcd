package authn

import "net/http"

// Outcome is the result of one request's check: a bounded label of the metric,
// and the code that an API answers.
type Outcome string

// The outcomes of a check.
const (
	OutcomeOK              Outcome = "ok"
	OutcomeNoToken         Outcome = "no_token"
	OutcomeMalformed       Outcome = "malformed_token"
	OutcomeTooLarge        Outcome = "token_too_large"
	OutcomeUnknownKey      Outcome = "unknown_key"
	OutcomeKeysUnavailable Outcome = "keys_unavailable"
	OutcomeBadSignature    Outcome = "bad_signature"
	OutcomeWrongIssuer     Outcome = "wrong_issuer"
	OutcomeWrongAudience   Outcome = "wrong_audience"
	OutcomeExpired         Outcome = "expired"
	OutcomeNotYetValid     Outcome = "not_yet_valid"
	OutcomeBadClaims       Outcome = "bad_claims"
	OutcomeNotAllowed      Outcome = "not_allowed"
	OutcomeNotLocal        Outcome = "not_local"
	OutcomeRoleTooLow      Outcome = "role_too_low"
)

// Refusal is the answer to a caller who is not let in.
type Refusal struct {
	// Status is the HTTP status: 401, 403 or 503.
	Status int
	// Outcome is why, for programs.
	Outcome Outcome
	// Message is why, for people: one plain sentence. Remedy says what to do.
	Message, Remedy string

	// caller is who was refused, once that is proved.
	caller string
}

func unauthorized(o Outcome, message string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Outcome: o, Message: message,
		Remedy: "Sign in again, or send a fresh token of this service's issuer and audience.",
	}
}

func forbidden(o Outcome, caller, message, remedy string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Outcome: o, Message: message, Remedy: remedy, caller: caller}
}

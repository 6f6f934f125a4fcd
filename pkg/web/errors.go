package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/resilience"
)

// Error is an answer that is not what was asked for.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is for programs: snake_case, never changed.
	Code string
	// Message says in one sentence what is wrong, Remedy what to do about it.
	Message, Remedy string
	// Err is the cause: logged, never shown.
	Err error
}

// Error is the message with its cause, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + " (" + e.Err.Error() + ")"
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// BadRequest is the answer to what cannot be understood.
func BadRequest(code, message, remedy string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message, Remedy: remedy}
}

// NotFound is the answer where there is nothing, or nothing for this caller.
func NotFound(message string) *Error {
	return &Error{
		Status: http.StatusNotFound, Code: "not_found", Message: message,
		Remedy: "Check the address; what belongs to other tenants is not shown.",
	}
}

// Conflict is the answer to what the state of a thing does not allow.
func Conflict(code, message, remedy string) *Error {
	return &Error{Status: http.StatusConflict, Code: code, Message: message, Remedy: remedy}
}

// Errors answers with errors: as JSON below APIPrefix, as a page elsewhere.
type Errors struct {
	pages *Pages
	log   zerolog.Logger
}

// NewErrors returns Errors that render the page "error" of the layout.
func NewErrors(pages *Pages, log zerolog.Logger) *Errors { return &Errors{pages: pages, log: log} }

// Handle makes a handler of a function that may return an error before it has
// written anything.
func (e *Errors) Handle(fn func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := fn(w, r); err != nil {
			e.Write(w, r, err)
		}
	}
}

// Refuse answers a caller who is not let in.
func (e *Errors) Refuse(w http.ResponseWriter, r *http.Request, refusal *authn.Refusal) {
	e.Write(w, r, &Error{
		Status: refusal.Status, Code: string(refusal.Outcome), Message: refusal.Message, Remedy: refusal.Remedy,
	})
}

// Write answers with an error. What is no Error and not known here is an
// internal error: it is logged, and the answer tells only where to find it.
func (e *Errors) Write(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	answer := explain(r, err)
	if answer.Status >= http.StatusInternalServerError {
		e.log.Error().Err(err).Str("request_id", RequestID(r.Context())).Str("route", routeOf(r)).Msg("request not answered")
	}
	if answer.Status == http.StatusServiceUnavailable || answer.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	if strings.HasPrefix(r.URL.Path, APIPrefix) {
		WriteJSON(w, answer.Status, errorBody{Error: errorJSON{
			Code: answer.Code, Message: answer.Message, Remedy: answer.Remedy, RequestID: RequestID(r.Context()),
		}})
		return
	}
	if err := e.pages.Render(w, r, answer.Status, "error", http.StatusText(answer.Status), answer); err != nil {
		e.log.Error().Err(err).Str("request_id", RequestID(r.Context())).Msg("error page not rendered")
		http.Error(w, answer.Message, answer.Status)
	}
}

const (
	retryAfterSeconds = 5
	// statusClientGone is the usual status for a request whose client has hung up;
	// only the log sees it.
	statusClientGone = 499
)

type errorBody struct {
	Error errorJSON `json:"error"`
}

type errorJSON struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Remedy    string `json:"remedy,omitempty"`
	RequestID string `json:"request_id"`
}

// explain makes an answer of any error.
func explain(r *http.Request, err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{
			Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "The request is too large.",
			Remedy: "Send at most " + strconv.Itoa(MaxBody) + " bytes.",
		}
	}
	id := RequestID(r.Context())
	if resilience.CategoryOf(err) == resilience.CategoryDependency {
		return &Error{
			Status: http.StatusServiceUnavailable, Code: "unavailable", Err: err,
			Message: "Something that this service depends on does not answer.",
			Remedy:  "Try again in a few seconds. The log has it under request " + id + ".",
		}
	}
	return &Error{
		Status: http.StatusInternalServerError, Code: "internal", Err: err,
		Message: "This service could not do that.",
		Remedy:  "Try again; if it stays, look into the log for request " + id + ".",
	}
}

package web

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// APIPrefix begins the path of everything that speaks JSON; all else is pages.
const APIPrefix = "/api/"

// MaxBody is the largest body of a request in bytes.
const MaxBody = 64 << 10

// NewRouter returns a router whose every request passes, in this order: request
// id, log and metrics, recovery from panics, security headers, body limit,
// refusal of cross-site writes. It serves the static files; authentication and
// the rate limit are the service's to add behind it.
func NewRouter(errs *Errors, assets *Assets, reg prometheus.Registerer, log zerolog.Logger) *chi.Mux {
	o := newObserver(reg, log)
	r := chi.NewRouter()
	r.Use(requestID, o.observe, o.recover(errs), securityHeaders, limitBody, crossOrigin(errs), middleware.GetHead)
	r.NotFound(errs.Handle(func(http.ResponseWriter, *http.Request) error {
		return NotFound("There is nothing at this address.")
	}))
	r.MethodNotAllowed(errs.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		return &Error{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
			Message: "This address does not take " + method(r) + " requests.",
		}
	}))
	r.Get(assetPrefix+"{name}", errs.Handle(assets.serve))
	return r
}

// securityHeaders lets a page load only what comes from here, be framed by
// nobody, and send forms nowhere else.
func securityHeaders(next http.Handler) http.Handler {
	const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers hide the origin of our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store") // what it shows is for this caller and this moment
		next.ServeHTTP(w, r)
	})
}

func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r)
	})
}

// crossOrigin refuses writes that another site makes a browser send. Browsers
// say where a request comes from, so no token in the forms is needed.
func crossOrigin(errs *Errors) func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(errs.Handle(func(http.ResponseWriter, *http.Request) error {
		return &Error{
			Status: http.StatusForbidden, Code: "cross_origin",
			Message: "This request was made by a page of another site, so it was not carried out.",
			Remedy:  "Open this service's own page and do it there.",
		}
	}))
	return protection.Handler
}

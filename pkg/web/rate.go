package web

import (
	"net"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"

	"github.com/envision/resiliency/pkg/authn"
)

// maxCallers bounds the callers whose rate is remembered. Who is forgotten
// begins anew, which only many callers at once can bring about.
const maxCallers = 4096

// RateLimit returns a middleware that bounds the requests of each caller. It
// belongs behind the authentication; a caller without identity is known by
// address. It also gives the caller's name to the log line.
func RateLimit(cfg Config, errs *Errors, reg prometheus.Registerer) (func(http.Handler) http.Handler, error) {
	limiters, err := lru.New[string, *rate.Limiter](maxCallers)
	if err != nil {
		return nil, err
	}
	limited := promauto.With(reg).NewCounter(prometheus.CounterOpts{
		Name: "resiliency_web_rate_limited_total",
		Help: "Requests refused because their caller made too many.",
	})
	refuse := errs.Handle(func(http.ResponseWriter, *http.Request) error {
		return &Error{
			Status: http.StatusTooManyRequests, Code: "too_many_requests",
			Message: "You make more requests than this service takes from one caller.", Remedy: "Wait a few seconds.",
		}
	})
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			identity, known := authn.FromContext(r.Context())
			traceOf(r.Context()).caller = identity.Who()
			key := "id:" + identity.Subject
			if !known {
				host, _, _ := net.SplitHostPort(r.RemoteAddr)
				key = "addr:" + host
			}
			limiter, ok := limiters.Get(key)
			if !ok {
				limiter = rate.NewLimiter(rate.Limit(cfg.Rate), cfg.Burst)
				if earlier, found, _ := limiters.PeekOrAdd(key, limiter); found {
					limiter = earlier
				}
			}
			if !limiter.Allow() {
				limited.Inc()
				refuse(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

package web

import (
	"context"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/service"
)

// trace is what is known of a request besides its own words.
type trace struct {
	id string
	// caller is set behind the authentication, for the log line.
	caller string
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	if t, ok := ctx.Value(traceKey{}).(*trace); ok {
		return t
	}
	return &trace{}
}

// RequestID is the id of the request that ctx belongs to, by which its log lines
// are found.
func RequestID(ctx context.Context) string { return traceOf(ctx).id }

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID takes over the id that a proxy or client gave, or makes one.
func requestID(next http.Handler) http.Handler {
	const header = "X-Request-Id"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(header)
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set(header, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), traceKey{}, &trace{id: id})))
	})
}

// observer logs and counts requests.
type observer struct {
	log      zerolog.Logger
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
}

func newObserver(reg prometheus.Registerer, log zerolog.Logger) *observer {
	factory := promauto.With(reg)
	return &observer{
		log: log,
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_web_requests_total",
			Help: "Requests to the public API and pages, by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_web_request_seconds",
			Help:    "How long requests took, by route.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 13), // 2 ms to 8 s
		}, []string{"route"}),
		panics: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_web_panics_total",
			Help: "Requests whose handler panicked; each is a bug.",
		}),
	}
}

func (o *observer) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer o.note(ww, r, begin)
		next.ServeHTTP(ww, r)
	})
}

func (o *observer) note(ww middleware.WrapResponseWriter, r *http.Request, begin time.Time) {
	took := time.Since(begin)
	status := ww.Status()
	if status == 0 {
		status = http.StatusOK
	}
	route := routeOf(r)
	o.requests.WithLabelValues(route, method(r), strconv.Itoa(status)).Inc()
	o.seconds.WithLabelValues(route).Observe(took.Seconds())
	t := traceOf(r.Context())
	// The path without its query, which may hold what people search for.
	o.log.WithLevel(levelOf(r, status)).Str("request_id", t.id).Str("caller", t.caller).
		Str("method", method(r)).Str("route", route).Str("path", r.URL.Path).Int("status", status).
		Int("bytes", ww.BytesWritten()).Float64("duration_ms", float64(took.Microseconds())/1000).Msg("request")
}

// levelOf keeps the many reads out of the log unless something went wrong.
func levelOf(r *http.Request, status int) zerolog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return zerolog.WarnLevel
	case status >= http.StatusBadRequest, r.Method != http.MethodGet && r.Method != http.MethodHead:
		return zerolog.InfoLevel
	default:
		return zerolog.DebugLevel
	}
}

// routeOf is the pattern of the route, never the path: it is a label.
func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return "none"
}

// method is one of the known methods, since anybody can invent others.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}

// recover turns a panic into an answer. An answer that has begun is cut off
// instead, so that nobody takes a half of it for the whole.
func (o *observer) recover(errs *Errors) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if v := catch(next, w, r); v != nil {
				o.answer(errs, w, r, v)
			}
		})
	}
}

// catch returns what the handler panicked with, with the stack it did so on. A
// panic that the handler hands on from a goroutine of its own keeps its stack.
func catch(next http.Handler, w http.ResponseWriter, r *http.Request) (caught *service.PanicError) {
	defer func() {
		v := recover()
		if handed, ok := v.(*service.PanicError); ok {
			caught = handed
		} else if v != nil {
			caught = &service.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	next.ServeHTTP(w, r)
	return nil
}

func (o *observer) answer(errs *Errors, w http.ResponseWriter, r *http.Request, caught *service.PanicError) {
	if caught.Value == http.ErrAbortHandler { //nolint:errorlint // the value that net/http itself compares
		panic(caught.Value)
	}
	o.panics.Inc()
	o.log.Error().Str("request_id", RequestID(r.Context())).Str("route", routeOf(r)).
		Err(caught).Bytes("stack_trace", caught.Stack).Msg("handler panicked")
	if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
		panic(http.ErrAbortHandler)
	}
	errs.Write(w, r, caught)
}

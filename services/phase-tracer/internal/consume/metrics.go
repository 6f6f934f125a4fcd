package consume

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// What becomes of a message.
const (
	outcomeStored = "stored"
	// outcomeInvalid: it breaks the contract.
	outcomeInvalid = "invalid"
	// outcomeRefused: Firestore refuses it as it is.
	outcomeRefused = "refused"
	// outcomeError: it is tried again.
	outcomeError = "error"
)

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeStored
	case resilience.IsPermanent(err):
		return outcomeRefused
	default:
		return outcomeError
	}
}

// Metrics count what was handled.
type Metrics struct {
	handled *prometheus.CounterVec
	lag     *prometheus.HistogramVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	return &Metrics{
		handled: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "phase_tracer_messages_total",
			Help: "Messages by what they tell (phase, update), source and outcome (stored, invalid, refused, error).",
		}, []string{"what", "source", "outcome"}),
		lag: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "phase_tracer_lag_seconds",
			Help:    "Time from Pub/Sub's taking a message to its being stored, by what it tells (phase, update).",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 15), // 10 ms to 3 min
		}, []string{"what"}),
	}
}

// sourceLabel bounds the label: a number that is no source of ours has no name.
func sourceLabel(source job.Source) string {
	if _, known := resiliencyv1.Source_name[int32(source)]; !known {
		return "unknown"
	}
	return strings.ToLower(job.SourceName(source))
}

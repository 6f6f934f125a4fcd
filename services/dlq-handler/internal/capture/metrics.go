package capture

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// outcomeNotStored is the outcome of a letter that comes again because it could
// not be stored; the others are those of letters.Placed.
const outcomeNotStored = "not_stored"

// Metrics count letters and what was done for their jobs.
type Metrics struct {
	letters  *prometheus.CounterVec
	cleanups *prometheus.CounterVec
	bytes    prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	m := &Metrics{
		letters: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "dlq_handler_letters_total",
			Help: "Dead letters by the subscription that they died in, category (permanent, retryable, dependency, unknown) and " +
				"outcome (new, repeat, reopened, delivered_before, not_stored).",
		}, []string{"subscription", "category", "outcome"}),
		cleanups: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "dlq_handler_cleanups_total",
			Help: "Clean-ups by type of the message and action (applied, already_known, job_failed, job_moved_on, record_made, kept, error).",
		}, []string{"type", "action"}),
		bytes: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "dlq_handler_letter_bytes",
			Help:    "Size of the payload of dead letters.",
			Buckets: prometheus.ExponentialBuckets(64, 8, 7), // 64 B to 16 MiB
		}),
	}
	m.expectLetters()
	return m
}

// expectLetters makes the series that an alert asks about: a counter that appears
// with its first letter never rose, so nobody would be told of that one.
func (m *Metrics) expectLetters() {
	died := []string{letters.Unknown}
	for _, t := range topology.Topics() {
		for _, s := range t.Subscriptions {
			if !s.DeadLetters() {
				died = append(died, s.ID)
			}
		}
	}
	categories := []resilience.Category{
		resilience.CategoryPermanent, resilience.CategoryRetryable, resilience.CategoryDependency, letters.Unknown,
	}
	for _, subscription := range died {
		for _, category := range categories {
			m.letters.WithLabelValues(subscription, string(category), string(letters.PlacedNew))
			m.letters.WithLabelValues(subscription, string(category), string(letters.PlacedReopened))
		}
	}
}

func (m *Metrics) captured(outcome string, l *letters.Letter) {
	m.letters.WithLabelValues(l.Subscription, string(l.Category), outcome).Inc()
	m.bytes.Observe(float64(l.PayloadSize))
}

func (m *Metrics) cleaned(action string, err error, l *letters.Letter) {
	if err != nil {
		action = "error"
	}
	m.cleanups.WithLabelValues(l.Type, action).Inc()
}

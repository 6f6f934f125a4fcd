package replay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// Metrics count replays.
type Metrics struct {
	replays   *prometheus.CounterVec
	sentTotal *prometheus.CounterVec
	auto      *prometheus.CounterVec
	running   prometheus.Gauge
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	return &Metrics{
		replays: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "dlq_handler_replays_total",
			Help: "Requests to replay a letter by outcome (replayed, already_replayed, in_progress, refused).",
		}, []string{"outcome"}),
		sentTotal: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "dlq_handler_letters_sent_total",
			Help: "Letters sent again by the subscription that they are for and by who asked (person, operation, auto).",
		}, []string{"subscription", "by"}),
		auto: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "dlq_handler_auto_replay_decisions_total",
			Help: "Decisions on letters of a dependency " +
				"(replay, dependency_down, pubsub_down, died_recently, waiting, exhausted, nothing, failed).",
		}, []string{"dependency", "decision"}),
		running: factory.NewGauge(prometheus.GaugeOpts{
			Name: "dlq_handler_operations_running",
			Help: "Operations that this process is running.",
		}),
	}
}

func (m *Metrics) outcome(o letters.ReplayOutcome) { m.replays.WithLabelValues(string(o)).Inc() }

func (m *Metrics) sent(l *letters.Letter) {
	by := "person"
	switch {
	case l.Claim.Auto:
		by = "auto"
	case l.Claim.Operation != "":
		by = "operation"
	}
	m.sentTotal.WithLabelValues(l.Subscription, by).Inc()
}

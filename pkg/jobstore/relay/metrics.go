package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Label values.
const (
	viaCommit = "commit"
	viaSweep  = "sweep"

	leftFull   = "full"
	leftFailed = "failed"
	leftClosed = "shutdown"
	leftDelete = "not_deleted"

	sweepDone   = "done"
	sweepFailed = "failed"
)

type metrics struct {
	published *prometheus.CounterVec
	left      *prometheus.CounterVec
	sweeps    *prometheus.CounterVec
	refused   prometheus.Counter
	seconds   prometheus.Histogram
	oldest    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		published: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_outbox_published_total",
			Help: "Outbox entries that Pub/Sub confirmed, by what sent them (commit: right after it; sweep).",
		}, []string{"via"}),
		left: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_outbox_left_total",
			Help: "Outbox entries left to the sweep, by reason (full, failed, shutdown, not_deleted).",
		}, []string{"reason"}),
		sweeps: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_outbox_sweeps_total",
			Help: "Sweeps of the outbox by result (done, failed).",
		}, []string{"result"}),
		refused: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_outbox_refused_total",
			Help: "Outbox entries dropped because Pub/Sub can never take them.",
		}),
		seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "resiliency_outbox_delay_seconds",
			Help:    "Time from commit to confirmed publish.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 3600},
		}),
		oldest: factory.NewGauge(prometheus.GaugeOpts{
			Name: "resiliency_outbox_oldest_seconds",
			Help: "Age of the oldest entry that the last sweep of the whole outbox left unsent (0 when it sent all), " +
				"and the time since while none could see the whole.",
		}),
	}
}

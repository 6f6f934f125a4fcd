package capsule

import "github.com/prometheus/client_golang/prometheus"

// What became of a capsule.
const (
	resultComplete   = "complete"
	resultIncomplete = "incomplete"
	resultDropped    = "dropped"
	resultUnsent     = "unsent"
	resultRefused    = "refused"
	resultLate       = "late"
	resultFailed     = "failed"
)

// Where the bytes of a capsule are.
const (
	keptEvent  = "event"
	keptBucket = "bucket"
)

type metrics struct {
	capsules *prometheus.CounterVec
	seconds  prometheus.Histogram
	bytes    *prometheus.HistogramVec
	waiting  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		capsules: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_capsules_total",
			Help: "Failure capsules: published complete or incomplete, dropped as too many waited, unsent at the end, " +
				"refused for good by Pub/Sub, too late to tell more than the former leader's, or failed by a bug.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "event_streamer_capsule_seconds",
			Help:    "Time that taking a capsule took: the cluster's answers, redaction, the bucket.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}),
		bytes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "event_streamer_capsule_bytes",
			Help:    "Size of a capsule in its event, and of the whole one in the bucket.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 2, 10),
		}, []string{"kept"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_waiting_capsules",
			Help: "Jobs that wait for a capsule to be taken.",
		}),
	}
	for _, result := range []string{
		resultComplete, resultIncomplete, resultDropped, resultUnsent, resultRefused, resultLate, resultFailed,
	} {
		m.capsules.WithLabelValues(result)
	}
	for _, kept := range []string{keptEvent, keptBucket} {
		m.bytes.WithLabelValues(kept)
	}
	reg.MustRegister(m.capsules, m.seconds, m.bytes, m.waiting)
	return m
}

func (m *metrics) result(result string) { m.capsules.WithLabelValues(result).Inc() }

package deliver

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

type metrics struct {
	published, refused *prometheus.CounterVec
	pending, tracked   prometheus.Gauge
	panics             prometheus.Counter
	latency            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_events_published_total",
			Help: "Facts that Pub/Sub has confirmed.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_events_refused_total",
			Help: "Facts that Pub/Sub refuses for good; they are dropped.",
		}, []string{"kind"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_pending_facts",
			Help: "Facts seen and not yet confirmed by Pub/Sub.",
		}),
		tracked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_tracked_jobs",
			Help: "Kubernetes Jobs that the queue remembers.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_delivery_panics_total",
			Help: "Panics caught while delivering the facts of one Job; any is a bug.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "event_streamer_publish_latency_seconds",
			Help:    "Time from the watch event to Pub/Sub's confirmation.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300},
		}),
	}
	// Series exist from the start, so that a rate over them is never missing.
	for _, kind := range []string{fact.KindStatus, fact.KindCause, fact.KindVanished, fact.KindPhase} {
		m.published.WithLabelValues(kind)
		m.refused.WithLabelValues(kind)
	}
	reg.MustRegister(m.published, m.refused, m.pending, m.tracked, m.panics, m.latency)
	return m
}

package deliver

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

type metrics struct {
	published, refused *prometheus.CounterVec
	pending, tracked   prometheus.Gauge
	leader             prometheus.Gauge
	skipped, panics    prometheus.Counter
	joined, dropped    prometheus.Counter
	latency            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_events_published_total",
			Help: "Facts that are confirmed: by Pub/Sub, or written to the log.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streamer_events_refused_total",
			Help: "Facts that are refused for good; they are dropped.",
		}, []string{"kind"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_pending_facts",
			Help: "Facts seen and not yet confirmed; on standby, not yet known as published by the leader.",
		}),
		tracked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_tracked_jobs",
			Help: "Kubernetes Jobs that the queue remembers.",
		}),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_leader",
			Help: "1 while this process publishes, 0 while it is on standby.",
		}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_events_skipped_total",
			Help: "Facts that the watermark knows as published, by an earlier process or by the leader.",
		}),
		joined: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_facts_joined_total",
			Help: "Facts that went with another: a cause with the end that it explains, a resume with the run.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_phases_dropped_total",
			Help: "Phases given up because their topic cannot be published to, while claims go on.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_delivery_panics_total",
			Help: "Panics caught while delivering the facts of one Job; any is a bug.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "event_streamer_publish_latency_seconds",
			Help:    "Time from the watch event to the confirmation.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300},
		}),
	}
	// Series exist from the start, so that a rate over them is never missing.
	for _, kind := range []string{fact.KindStatus, fact.KindCause, fact.KindVanished, fact.KindPhase} {
		m.published.WithLabelValues(kind)
		m.refused.WithLabelValues(kind)
	}
	reg.MustRegister(m.published, m.refused, m.pending, m.tracked, m.leader, m.skipped, m.joined, m.dropped, m.panics, m.latency)
	return m
}

package watch

import "github.com/prometheus/client_golang/prometheus"

// What is watched.
const (
	resourceJobs = "jobs"
	resourcePods = "pods"
)

// Why a Job is ignored.
const (
	reasonJobID      = "invalid_job_id"
	reasonAttempt    = "invalid_attempt"
	reasonUnreadable = "unreadable"
)

// What a deletion before the end turned out to be.
const (
	outcomeGone       = "gone"
	outcomeUnlabelled = "unlabelled"
)

type metrics struct {
	watchErrors *prometheus.CounterVec
	ignored     *prometheus.CounterVec
	annotations *prometheus.CounterVec
	deletions   *prometheus.CounterVec
	lastEvent   *prometheus.GaugeVec
	waiting     prometheus.Gauge
	panics      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "event_streamer_" + name, Help: help}, labels)
	}
	m := &metrics{
		watchErrors: counter("watch_errors_total", "Lists and watches that broke; each is tried again.", "resource", "reason"),
		ignored:     counter("jobs_ignored_total", "Labelled Jobs that make no facts, each counted once.", "reason"),
		annotations: counter("annotations_ignored_total", "Annotations of Jobs that were ignored.", "annotation"),
		deletions:   counter("deletions_total", "Jobs that left the watch before their end, by what the API server said.", "outcome"),
		lastEvent: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "event_streamer_last_event_timestamp_seconds",
			Help: "When the last change was seen, as Unix time; 0 before the first.",
		}, []string{"resource"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streamer_waiting_changes",
			Help: "Changes that a watch has shown and that wait until the queue of facts has room.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "event_streamer_watch_panics_total",
			Help: "Panics caught while reading an object; any is a bug.",
		}),
	}
	for _, resource := range []string{resourceJobs, resourcePods} {
		m.lastEvent.WithLabelValues(resource)
		for _, reason := range []string{"expired", "denied", "other"} {
			m.watchErrors.WithLabelValues(resource, reason)
		}
	}
	for _, reason := range []string{reasonJobID, reasonAttempt, reasonUnreadable} {
		m.ignored.WithLabelValues(reason)
	}
	for _, outcome := range []string{outcomeGone, outcomeUnlabelled} {
		m.deletions.WithLabelValues(outcome)
	}
	reg.MustRegister(m.watchErrors, m.ignored, m.annotations, m.deletions, m.lastEvent, m.waiting, m.panics)
	return m
}

func (m *metrics) event(resource string) { m.lastEvent.WithLabelValues(resource).SetToCurrentTime() }

package consume

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/logentry"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Metrics of the handlers.
type Metrics struct {
	observations *prometheus.CounterVec
	entries      *prometheus.CounterVec
	delay        *prometheus.HistogramVec
	seconds      prometheus.Histogram
}

// NewMetrics registers the handlers' metrics; a nil registerer registers none.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	return &Metrics{
		observations: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "status_updater_observations_total",
			Help: "Claims about jobs by outcome (applied, duplicate, stale, corrected, unknown, invalid, error), source and kind.",
		}, []string{"outcome", "source", "kind"}),
		entries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "status_updater_log_entries_total",
			Help: "Entries of the log by kind (job_event, phase_event, event_of_job, audit, ...) " +
				"and outcome (claim, phase, untrusted, unknown_uid, ...).",
		}, []string{"kind", "outcome"}),
		delay: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "status_updater_change_delay_seconds",
			Help: "Time from when a fact became true to when the record held it, by source; of claims that changed a record. " +
				"Kubernetes gives whole seconds.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 21600, 86400},
		}, []string{"source"}),
		seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "status_updater_apply_seconds",
			Help:    "Time to apply a claim, commit included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15), // 0.5 ms to 8 s
		}),
	}
}

func (m *Metrics) observe(outcome string, o *job.Observation) {
	m.observations.WithLabelValues(outcome, sourceLabel(o.Source), kindLabel(o.Kind)).Inc()
}

func (m *Metrics) applied(o *job.Observation, r *jobstore.Result, begin, end time.Time) {
	m.observe(r.Outcome.String(), o)
	m.seconds.Observe(end.Sub(begin).Seconds())
	if r.Outcome.Changed() {
		// Clocks differ: what seems to come from the future came at once.
		m.delay.WithLabelValues(sourceLabel(o.Source)).Observe(max(0, end.Sub(o.OccurredAt).Seconds()))
	}
}

// sourceLabel is bounded: a source that this release does not know is "other".
func sourceLabel(s job.Source) string {
	if _, ok := resiliencyv1.Source_name[int32(s)]; !ok {
		return "other"
	}
	return strings.ToLower(job.SourceName(s))
}

func kindLabel(k job.Kind) string {
	switch k {
	case job.KindStatus:
		return "status"
	case job.KindCause:
		return "cause"
	case job.KindVanished:
		return "vanished"
	case job.KindDelay:
		return "delay"
	default:
		return "none"
	}
}

func (m *Metrics) entry(k logentry.Kind, outcome string) {
	m.entries.WithLabelValues(k.String(), outcome).Inc()
}

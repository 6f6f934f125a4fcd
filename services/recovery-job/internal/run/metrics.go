package run

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics tell what runs did. The process ends soon after its run, so they serve
// whoever watches one; alerts go by the log line and the heartbeat.
type Metrics struct {
	verdicts *prometheus.CounterVec
	read     prometheus.Counter
	withheld prometheus.Counter
}

// NewMetrics registers the metrics of runs.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	return &Metrics{
		verdicts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "recovery_job_verdicts_total",
			Help: "Jobs that were judged, by the reason of the verdict and its fate.",
		}, []string{"reason", "fate"}),
		read: factory.NewCounter(prometheus.CounterOpts{
			Name: "recovery_job_records_read_total",
			Help: "Due records that were read.",
		}),
		withheld: factory.NewCounter(prometheus.CounterOpts{
			Name: "recovery_job_withheld_total",
			Help: "Verdicts from silence that were withheld because the run had too many of them.",
		}),
	}
}

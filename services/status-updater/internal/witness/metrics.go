package witness

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

type metrics struct {
	claims   *prometheus.CounterVec
	lastSeen *prometheus.GaugeVec
	silent   *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		claims: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "status_updater_source_claims_total",
			Help: "Claims by source and whether it was the first to bring the fact (first) or the record knew it or better (duplicate).",
		}, []string{"source", "result"}),
		lastSeen: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "status_updater_source_last_seen_timestamp_seconds",
			Help: "When a source was last heard, as Unix time.",
		}, []string{"source"}),
		silent: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "status_updater_source_silent",
			Help: "1 while an expected source is silent although another speaks. Replicas share the work: alert on the minimum over all.",
		}, []string{"source"}),
	}
}

// label is bounded: a source that this release does not know is "other".
func label(s job.Source) string {
	if _, ok := resiliencyv1.Source_name[int32(s)]; !ok {
		return "other"
	}
	return strings.ToLower(job.SourceName(s))
}

package jobstore

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// storeMetrics tell how claims end and what the cache is worth.
type storeMetrics struct {
	applies *prometheus.CounterVec
	cache   *prometheus.CounterVec
	uids    *prometheus.CounterVec
	tries   prometheus.Histogram
	// ownCommits counts commits whose answer was lost and that were found done.
	ownCommits prometheus.Counter
}

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	factory := promauto.With(reg)
	return &storeMetrics{
		applies: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_jobstore_applies_total",
			Help: "Claims given to the store by outcome (applied, duplicate, stale, corrected, error).",
		}, []string{"outcome"}),
		cache: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_jobstore_cache_lookups_total",
			Help: "Look-ups in the record cache by result (hit, miss).",
		}, []string{"result"}),
		uids: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_jobstore_uid_searches_total",
			Help: "Searches for the job of a Kubernetes Job by result (known, queried, unknown, ambiguous, error).",
		}, []string{"result"}),
		tries: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "resiliency_jobstore_commit_tries",
			Help:    "Commits that one change of a record took; more than 1 means that others changed it meanwhile.",
			Buckets: []float64{1, 2, 3, 5, 8, 12},
		}),
		ownCommits: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_jobstore_own_commits_found_total",
			Help: "Commits that had succeeded although their answer said otherwise.",
		}),
	}
}

package notify

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Label values.
const (
	factCounted  = "counted"
	factRepeated = "repeated"
	factFailed   = "failed"

	callPost   = "post"
	callReply  = "reply"
	callUpdate = "update"
	callFind   = "find"

	resultOK = "ok"

	abandonedAge     = "age"
	abandonedContent = "content"
)

type metrics struct {
	facts     *prometheus.CounterVec
	flush     prometheus.Histogram
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	adopted   prometheus.Counter
	blind     prometheus.Counter
	folded    prometheus.Counter
	abandoned *prometheus.CounterVec
	delay     prometheus.Histogram
	pending   prometheus.Gauge
	oldest    prometheus.Gauge
	denied    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		facts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_notify_facts_total",
			Help: "Facts stated, by result (counted, repeated: counted before, failed: the store did not take it).",
		}, []string{"result"}),
		flush: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "resiliency_notify_facts_per_commit",
			Help:    "Facts that one commit counted.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200},
		}),
		calls: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_notify_calls_total",
			Help: "Calls to Slack (post, reply, update, find) by result (ok, limited, denied, channel, content, gone, unsearchable, down).",
		}, []string{"call", "result"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_notify_call_seconds",
			Help:    "How long calls to Slack took, by call.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 11), // 10 ms to 10 s
		}, []string{"call"}),
		adopted: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_notify_found_total",
			Help: "Messages found in the channel after the answer to their post was lost.",
		}),
		blind: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_notify_posted_unsearched_total",
			Help: "Messages posted again without a search, because the channel may not be read; some may stand there twice.",
		}),
		folded: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_notify_folded_total",
			Help: "New kinds of failures that were summed up with others instead of a message of their own.",
		}),
		abandoned: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_notify_abandoned_total",
			Help: "Notices given up, by reason (age, content).",
		}, []string{"reason"}),
		delay: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "resiliency_notify_delay_seconds",
			Help:    "Time from the first untold fact of a new message to its post.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 15, 60, 300, 3600, 36000},
		}),
		pending: factory.NewGauge(prometheus.GaugeOpts{
			Name: "resiliency_notify_pending_notices",
			Help: "Notices that Slack does not yet show in full, at the last look (at most 200 are counted).",
		}),
		oldest: factory.NewGauge(prometheus.GaugeOpts{
			Name: "resiliency_notify_oldest_seconds",
			Help: "Age of the oldest untold change at the last look; 0 when all is told.",
		}),
		denied: factory.NewGauge(prometheus.GaugeOpts{
			Name: "resiliency_notify_denied",
			Help: "1 while Slack refuses the token or a channel, else 0.",
		}),
	}
}

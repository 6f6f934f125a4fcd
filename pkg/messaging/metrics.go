package messaging

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// Outcomes of a received message, the label of resiliency_messages_received_total.
const (
	// OutcomeAcked: handled.
	OutcomeAcked = "acked"
	// OutcomeNacked: comes again.
	OutcomeNacked = "nacked"
	// OutcomeDeadLettered: a permanent error of the handler, moved to the dead letters.
	OutcomeDeadLettered = "dead_lettered"
	// OutcomeUndecodable: could not be read, moved to the dead letters.
	OutcomeUndecodable = "undecodable"
	// OutcomeNotForUs: a replay meant for another subscription, acked.
	OutcomeNotForUs = "not_for_us"
)

// Outcomes of a published message, the label of resiliency_messages_published_total.
const (
	publishConfirmed = "confirmed"
	publishRefused   = "refused"
	publishFailed    = "failed"
)

// durations covers a call on one machine up to a call that hangs.
func durations() []float64 {
	return []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

type subscriberMetrics struct {
	received        *prometheus.CounterVec
	handleSeconds   prometheus.Observer
	inFlight        prometheus.Gauge
	waiting         prometheus.Gauge
	receiveFailures prometheus.Counter
	unknownFields   prometheus.Counter
	subscription    string
}

func newSubscriberMetrics(reg prometheus.Registerer, subscription string) *subscriberMetrics {
	m := &subscriberMetrics{
		subscription: subscription,
		received: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_messages_received_total",
			Help: "Messages received, by what became of them.",
		}, []string{"subscription", "outcome"})),
		handleSeconds: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_message_handle_seconds",
			Help:    "Time that a handler took for one message, without the wait for a broken dependency.",
			Buckets: durations(),
		}, []string{"subscription"})).WithLabelValues(subscription),
		inFlight: register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resiliency_messages_in_flight",
			Help: "Messages in hand, waiting ones included.",
		}, []string{"subscription"})).WithLabelValues(subscription),
		waiting: register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resiliency_messages_waiting",
			Help: "Messages in hand that wait for a broken dependency.",
		}, []string{"subscription"})).WithLabelValues(subscription),
		receiveFailures: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_receive_failures_total",
			Help: "How often the pull from a subscription broke off and was begun again.",
		}, []string{"subscription"})).WithLabelValues(subscription),
	}
	m.unknownFields = register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "resiliency_messages_unknown_fields_total",
		Help: "Fields in messages that only a newer release knows; they are ignored.",
	}, []string{"subscription"})).WithLabelValues(subscription)
	for _, outcome := range []string{OutcomeAcked, OutcomeNacked, OutcomeDeadLettered, OutcomeUndecodable, OutcomeNotForUs} {
		m.received.WithLabelValues(subscription, outcome) // a rate needs the zero
	}
	return m
}

func (m *subscriberMetrics) count(outcome string) {
	m.received.WithLabelValues(m.subscription, outcome).Inc()
}

type publisherMetrics struct {
	published *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	topics    map[string]bool
}

func newPublisherMetrics(reg prometheus.Registerer) *publisherMetrics {
	m := &publisherMetrics{
		published: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_messages_published_total",
			Help: "Messages published: confirmed; refused, which no retry mends; failed, which a retry may mend.",
		}, []string{"topic", "outcome"})),
		seconds: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_message_publish_seconds",
			Help:    "Time from the call to Pub/Sub's answer for one message.",
			Buckets: durations(),
		}, []string{"topic"})),
		topics: map[string]bool{},
	}
	for _, t := range topology.Topics() {
		m.topics[t.ID] = true
	}
	return m
}

// label keeps the label bounded, whatever topic a stored message names.
func (m *publisherMetrics) label(topic string) string {
	if m.topics[topic] {
		return topic
	}
	return "other"
}

// register registers c, or finds what another publisher or subscriber of the
// process has registered. A nil registerer registers nothing.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	if err := reg.Register(c); err != nil {
		registered, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
		if !ok {
			panic(err) // another metric has taken the name: a mistake in the program
		}
		return registered.ExistingCollector.(C) //nolint:forcetypeassert // same descriptor
	}
	return c
}

package jobs

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of an event on one of its two paths.
const (
	outcomeSent    = "sent"
	outcomeDropped = "dropped"
)

type metrics struct {
	events *prometheus.CounterVec
}

// newMetrics never fails and never panics: it runs in the product's process, with
// a registry that is not ours.
func newMetrics(reg prometheus.Registerer) *metrics {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "resiliency_sdk_events_total",
		Help: "Events that the SDK was given, by path (pubsub, log) and what became of them (sent, dropped).",
	}, []string{"path", "outcome"})
	if reg == nil {
		return &metrics{events: events}
	}
	if registered, ok := errors.AsType[prometheus.AlreadyRegisteredError](reg.Register(events)); ok {
		if existing, ok := registered.ExistingCollector.(*prometheus.CounterVec); ok {
			events = existing
		}
	}
	return &metrics{events: events}
}

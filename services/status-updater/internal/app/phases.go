package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// phases publishes the phases that came by the log. Their topic has a breaker of
// its own: while it is missing or forbidden they wait in hand, and the claims of
// the same subscription go on.
type phases struct {
	publisher *messaging.Publisher
	breaker   *resilience.Breaker
}

func newPhases(ctx context.Context, publisher *messaging.Publisher, reg prometheus.Registerer, log zerolog.Logger) *phases {
	p := &phases{publisher: publisher, breaker: resilience.NewBreaker(topology.TopicJobPhases, resilience.BreakerConfig{
		// The client has retried for long before it reports a failure, and a
		// missing topic comes at once: one is enough.
		Failures: 1, OpenFor: messaging.OutageRetryDelay,
	}, reg, log)}
	p.breaker.ProbeInSilence(ctx, func(ctx context.Context) error { return publisher.Check(ctx, topology.TopicJobPhases) })
	return p
}

// Publish implements consume.Phases.
func (p *phases) Publish(ctx context.Context, phase proto.Message) error {
	err := p.breaker.Do(ctx, func(ctx context.Context) error { return p.publisher.Publish(ctx, phase) })
	if resilience.CategoryOf(err) == resilience.CategoryDependency {
		// A letter that dies of it died of Pub/Sub, as dlq-handler knows it.
		err = resilience.Dependency(messaging.Dependency, err)
	}
	return messaging.HeldBy(p.breaker, err)
}

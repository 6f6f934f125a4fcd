package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"cloud.google.com/go/pubsub/v2"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
)

// flowPhases are sent in one round.
const flowPhases = 8_000

// measurePhaseFlow races phases from their being published to their being stored
// and acked against a bare subscriber that only acks, each in a project of its own.
func measurePhaseFlow(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	fmt.Fprintln(o.Out, "measuring the flow of phases (about 2 min)")
	stored, err := newFlow(ctx, s, "phaseflow")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stored.close(ctx)) }()
	bare, err := newFlow(ctx, s, "bareflow")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.close(ctx)) }()
	if stored.service, err = startTracer(ctx, stored.project, o.BinDir); err != nil {
		return err
	}
	medians, err := race(ctx, []contender{{"phase-tracer", stored.store}, {"bare", bare.receive}})
	if err != nil {
		return err
	}
	r.addRatio("phases_e2e_per_s", "phases/s", medians[0], medians[1])
	return nil
}

// phaseFlow is a project in which phases are published.
type phaseFlow struct {
	project   *stack.Project
	client    *pubsub.Client
	publisher *messaging.Publisher
	service   *tracer
}

func newFlow(ctx context.Context, s *stack.Stack, name string) (*phaseFlow, error) {
	p, err := s.NewProject(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &phaseFlow{project: p}
	if f.client, err = p.PubSub(ctx); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	f.publisher = messaging.NewPublisher(f.client, messaging.PublisherConfig{}, nil, zerolog.Nop())
	return f, nil
}

func (f *phaseFlow) close(ctx context.Context) error {
	if f.service != nil {
		f.service.client.CloseIdleConnections()
	}
	return errors.Join(f.publisher.Close(ctx), f.client.Close(), f.project.Close(ctx))
}

// publish sends the phases of a round.
func (f *phaseFlow) publish(ctx context.Context, round int) error {
	const workers = 64
	return spread(ctx, workers, flowPhases/workers, func(ctx context.Context, worker, step int) error {
		return f.publisher.Publish(ctx, somePhase(round, step*workers+worker))
	})
}

// store returns once phase-tracer has stored all phases of the round.
func (f *phaseFlow) store(ctx context.Context, round int) (int, error) {
	before, err := f.service.stored(ctx)
	if err != nil {
		return 0, err
	}
	published := make(chan error, 1)
	go func() { published <- f.publish(ctx, round) }()
	if err := f.service.awaitStored(ctx, before+flowPhases); err != nil {
		return 0, errors.Join(err, <-published)
	}
	return flowPhases, <-published
}

// receive returns once a bare subscriber has acked all phases of the round.
func (f *phaseFlow) receive(ctx context.Context, round int) (int, error) {
	published := make(chan error, 1)
	go func() { published <- f.publish(ctx, round) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscriber := f.client.Subscriber(topology.SubscriptionJobPhasesPhaseTracer)
	subscriber.ReceiveSettings.MaxOutstandingMessages = 2000
	var acked atomic.Int64
	err := subscriber.Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		if acked.Add(1) == flowPhases {
			cancel()
		}
	})
	return flowPhases, errors.Join(err, <-published)
}

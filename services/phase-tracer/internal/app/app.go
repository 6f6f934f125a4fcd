// Package app puts phase-tracer together: clients, stores, consumer, ledger, API
// and pages, their start-up checks, and the order in which they end. It holds no
// logic of its own.
package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/service"
)

const serviceName = "phase-tracer"

// memoryLimit is where the garbage collector begins to work harder, unless
// GOMEMLIMIT says another.
const memoryLimit = 200 << 20

// Run starts the service; it returns once its workers run.
func Run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	p, err := assemble(ctx, rt, cfg)
	if err != nil {
		return err
	}
	if err := p.require(ctx, rt); err != nil {
		return err
	}
	// The subscriptions are no part of it: the pages need Firestore alone, and are
	// looked at when messages do not come.
	rt.Ready("firestore", func(ctx context.Context) error {
		return errors.Join(p.breaker.Ready(ctx), p.records.Ping(ctx, time.Minute))
	})
	rt.Live("progress", p.progress.live)
	p.start(rt)
	return nil
}

// require makes the process end with a plain sentence when it could not work.
func (p *parts) require(ctx context.Context, rt *service.Runtime) error {
	const consume = "Create the topics and subscriptions first and let this service consume them (roles/pubsub.subscriber), " +
		"or set PUBSUB_EMULATOR_HOST."
	checks := []struct {
		name, remedy string
		check        func(context.Context) error
	}{
		{
			"Firestore",
			"Check that the database exists and that this service may read and write it (roles/datastore.user), " +
				"or set FIRESTORE_EMULATOR_HOST.",
			func(ctx context.Context) error { return p.records.Ping(ctx, 0) },
		},
		{"Pub/Sub subscription " + topology.SubscriptionJobPhasesPhaseTracer, consume, p.events.Check},
		{"Pub/Sub subscription " + topology.SubscriptionJobUpdatesPhaseTracer, consume, p.updates.Check},
		{
			"Pub/Sub topic for dead letters",
			"Create the topics first and let this service publish to them (roles/pubsub.publisher), or set PUBSUB_EMULATOR_HOST.",
			func(ctx context.Context) error { return p.publisher.Check(ctx, topology.TopicDeadLetters) },
		},
	}
	for _, c := range checks {
		if err := rt.Require(ctx, c.name, c.remedy, c.check); err != nil {
			return fmt.Errorf("start-up check: %w", err)
		}
	}
	return nil
}

// start begins to work. What writes outlives what consumes, so that what is in
// hand at the end is stored and acked; what counts outlives both.
func (p *parts) start(rt *service.Runtime) {
	var consuming sync.WaitGroup
	consuming.Add(2)
	written := make(chan struct{})
	after := func(ctx context.Context, wait func()) (context.Context, context.CancelFunc) {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		go func() { wait(); stop() }()
		return ctx, stop
	}
	rt.Go("ledger", func(ctx context.Context) error {
		ctx, stop := after(ctx, func() { <-written })
		defer stop()
		return p.book.Run(ctx)
	})
	rt.Go("writer", func(ctx context.Context) error {
		defer close(written)
		ctx, stop := after(ctx, consuming.Wait)
		defer stop()
		return p.batcher.Run(ctx)
	})
	rt.Go("consume phases", func(ctx context.Context) error {
		defer consuming.Done()
		return p.events.Run(ctx)
	})
	rt.Go("consume updates", func(ctx context.Context) error {
		defer consuming.Done()
		return p.updates.Run(ctx)
	})
	rt.Go("api", p.server.Run)
}

// budgets is how the time for the shutdown is shared out among those who end
// one after another; the API ends beside the subscribers.
type budgets struct{ subscriber, publisher, api time.Duration }

func split(total time.Duration) budgets {
	return budgets{subscriber: total / 2, publisher: total / 16, api: total / 4}
}

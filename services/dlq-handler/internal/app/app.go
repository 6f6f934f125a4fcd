// Package app puts dlq-handler together: clients, stores, handlers, replay and
// pages, their start-up checks, and the order in which they end. It holds no
// logic of its own.
package app

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/service"
)

const serviceName = "dlq-handler"

// memoryLimit is where the garbage collector begins to work harder, unless
// GOMEMLIMIT says another: a burst of large letters stays below it many times
// over, but the garbage that it makes would not.
const memoryLimit = 120 << 20

// Run starts the service; it returns once its workers run.
func Run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	p, err := assemble(ctx, rt, cfg)
	if err != nil {
		return err
	}
	if err := p.require(ctx, rt, cfg); err != nil {
		return err
	}
	// The subscription is left out: the pages, which show what is stored and need no
	// Pub/Sub for it, would go just when somebody looks why letters do not come.
	rt.Ready("firestore", func(ctx context.Context) error { return p.records.Ping(ctx, time.Minute) })
	rt.Live("progress", p.progress.live)
	p.start(rt)
	return nil
}

// require makes the process end with a plain sentence when it could not work.
// Slack is not required.
func (p *parts) require(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	type check struct {
		name, remedy string
		check        func(context.Context) error
	}
	checks := []check{
		{
			"Firestore",
			"Check that the database exists and that this service may read and write it (roles/datastore.user), " +
				"or set FIRESTORE_EMULATOR_HOST.",
			func(ctx context.Context) error { return p.records.Ping(ctx, 0) },
		},
		{
			"Pub/Sub subscription " + topology.SubscriptionDeadLettersDLQHandler,
			"Create the topics and subscriptions first and let this service consume them (roles/pubsub.subscriber), " +
				"or set PUBSUB_EMULATOR_HOST.",
			p.subscriber.Check,
		},
		{
			"Pub/Sub topics for updates and phases",
			"Create the topics first and let this service publish to them (roles/pubsub.publisher), or set PUBSUB_EMULATOR_HOST.",
			func(ctx context.Context) error {
				return p.publisher.Check(ctx, topology.TopicJobUpdates, topology.TopicJobPhases)
			},
		},
	}
	if cfg.LettersBucket != "" {
		checks = append(checks, check{
			"Cloud Storage bucket " + cfg.LettersBucket,
			"Create the bucket and let this service read and write its objects (roles/storage.objectUser), or set STORAGE_EMULATOR_HOST.",
			func(ctx context.Context) error { return p.objects.Check(ctx, cfg.LettersBucket) },
		})
	} else {
		rt.Log.Warn().Msg("LETTERS_BUCKET is not set: letters above 512 KiB wait in their subscription until it is")
	}
	for _, c := range checks {
		if err := rt.Require(ctx, c.name, c.remedy, c.check); err != nil {
			return fmt.Errorf("start-up check: %w", err)
		}
	}
	return nil
}

// start begins to work. The relay outlives the subscriber, so that what its last
// commits announce goes out before the end.
func (p *parts) start(rt *service.Runtime) {
	consumed := make(chan struct{})
	rt.Go("outbox", func(ctx context.Context) error {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		go func() { <-consumed; stop() }()
		return p.relay.Run(ctx)
	})
	rt.Go("capture", func(ctx context.Context) error {
		defer close(consumed)
		return p.subscriber.Run(ctx)
	})
	rt.Go("notices", p.notifier.Run)
	rt.Go("operations", p.runner.Run)
	rt.Go("health", p.health.run)
	rt.Go("automatic replay", p.auto.Run)
	rt.Go("api", p.server.Run)
}

// budgets is how the time for the shutdown is shared out among those who end
// one after another; the API ends beside the subscriber. The subscriber takes
// some seconds more than its share to give its last acks to a Pub/Sub that does
// not answer.
type budgets struct{ subscriber, relay, publisher, api time.Duration }

func split(total time.Duration) budgets {
	return budgets{subscriber: total / 2, relay: total / 8, publisher: total / 16, api: total / 4}
}

// Package app puts status-updater together: clients, store, relay, handler and
// subscriber, their start-up checks, and the order in which they end. It holds no
// logic of its own.
package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/jobstore/relay"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/status-updater/internal/consume"
	"github.com/envision/resiliency/services/status-updater/internal/witness"
)

const (
	serviceName = "status-updater"
	source      = resiliencyv1.Source_SOURCE_STATUS_UPDATER
	// eventGrace is longer than what a watcher takes to tell of an end, and short
	// enough that a replica holds few Events: Cloud Logging brings them later.
	eventGrace = 3 * time.Second
)

// parts is what the process is made of.
type parts struct {
	store     *jobstore.Store
	breaker   *resilience.Breaker
	publisher *messaging.Publisher
	phases    *phases
	relay     *relay.Relay
	// events and entries are what the two sources say.
	events, entries *messaging.Subscriber
	sources         *witness.Watch
	progress        *progress
	heart           *heart
}

// Run starts the service; it returns once its workers run.
func Run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	p, err := assemble(ctx, rt, cfg)
	if err != nil {
		return err
	}
	if err := p.require(ctx, rt); err != nil {
		return err
	}
	rt.Ready("firestore", func(ctx context.Context) error { return p.store.Ping(ctx, 2*cfg.HeartbeatEvery) })
	rt.Ready("subscription", p.events.Ready)
	rt.Ready("log subscription", p.entries.Ready)
	rt.Live("progress", p.progress.live)
	p.start(rt)
	return nil
}

func assemble(ctx context.Context, rt *service.Runtime, cfg *Config) (*parts, error) {
	documents, err := jobstore.NewClient(ctx, cfg.ProjectID, cfg.FirestoreDatabase)
	if err != nil {
		return nil, err
	}
	rt.Defer("Firestore client", documents.Close)
	p := &parts{}
	p.breaker = resilience.NewBreaker("firestore", resilience.BreakerConfig{}, rt.Registry, rt.Log)
	broker, err := messaging.NewClient(ctx, cfg.ProjectID, messaging.PausedBy(ctx, p.breaker))
	if err != nil {
		return nil, err
	}
	rt.Defer("Pub/Sub client", broker.Close)

	budget := split(rt.ShutdownBudget())
	p.publisher = messaging.NewPublisher(broker, messaging.PublisherConfig{}, rt.Registry, rt.Log)
	rt.Defer("publisher", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget.publisher)
		defer cancel()
		return p.publisher.Close(ctx)
	})
	p.phases = newPhases(ctx, p.publisher, rt.Registry, rt.Log)
	instance := service.InstanceName(serviceName)
	p.store = jobstore.New(documents,
		jobstore.WithRegisterer(rt.Registry), jobstore.WithWriter(instance), jobstore.WithShards(cfg.Shards),
		jobstore.WithCache(cfg.CacheSize, jobstore.MaxCacheAge), jobstore.WithTimeout(cfg.FirestoreTimeout),
		jobstore.WithOutbox(announce.Changes(source)),
		jobstore.WithTrace(messaging.AddTrace))
	p.breaker.ProbeInSilence(ctx, func(ctx context.Context) error { return p.store.Ping(ctx, 0) })
	p.relay = relay.New(p.store, p.publisher,
		relay.Config{SweepEvery: cfg.SweepEvery, Drain: budget.relay}, rt.Registry, rt.Log)
	p.progress = &progress{now: time.Now, waiting: p.breaker.Broken}
	p.heart = &heart{
		to: p.store, every: cfg.HeartbeatEvery, instance: instance, version: rt.Version, progress: p.progress,
		receiving: p.receiving, log: rt.Log,
	}
	// Both sources have one handler, one merge and one gate.
	handler, err := p.handler(rt, cfg)
	if err != nil {
		return nil, err
	}
	settings := messaging.Config{MaxOutstanding: cfg.MaxOutstanding, ShutdownBudget: budget.subscriber, Gate: p.breaker}
	settings.Subscription = topology.SubscriptionJobEventsStatusUpdater
	p.events = messaging.NewSubscriber(broker, p.publisher, settings, track(p.progress, handler.HandleJobEvent), rt.Registry, rt.Log)
	settings.Subscription = topology.SubscriptionJobLogEntriesStatusUpdater
	p.entries = messaging.NewRawSubscriber(broker, p.publisher, settings, trackRaw(p.progress, handler.HandleLogEntry), rt.Registry, rt.Log)
	return p, nil
}

func (p *parts) handler(rt *service.Runtime, cfg *Config) (*consume.Handler, error) {
	expected, err := cfg.sources()
	if err != nil {
		return nil, fmt.Errorf("expected sources: %w", err)
	}
	p.sources = witness.New(witness.Config{Expected: expected, Window: cfg.SilenceAfter}, rt.Registry, time.Now, rt.Log)
	return consume.New(consume.Parts{
		Records: p.store, Breaker: p.breaker, Outbox: p.relay, Phases: p.phases, Sources: p.sources,
		EventGrace: eventGrace, Trust: cfg.trust(), Metrics: consume.NewMetrics(rt.Registry), Now: time.Now, Log: rt.Log,
	}), nil
}

// receiving is an error while a subscription is not being pulled.
func (p *parts) receiving(ctx context.Context) error {
	return errors.Join(p.events.Ready(ctx), p.entries.Ready(ctx))
}

// require makes the process end with a plain sentence when it could not work.
func (p *parts) require(ctx context.Context, rt *service.Runtime) error {
	checks := []struct {
		name, remedy string
		check        func(context.Context) error
	}{
		{
			"Firestore",
			"Check that the database exists and that this service may read and write it (roles/datastore.user), " +
				"or set FIRESTORE_EMULATOR_HOST.",
			func(ctx context.Context) error { return p.store.Ping(ctx, 0) },
		},
		{
			"Pub/Sub subscription " + topology.SubscriptionJobEventsStatusUpdater,
			"Create the topics and subscriptions first and let this service consume them (roles/pubsub.subscriber), " +
				"or set PUBSUB_EMULATOR_HOST.",
			p.events.Check,
		},
		{
			"Pub/Sub subscription " + topology.SubscriptionJobLogEntriesStatusUpdater,
			"Create the topics and subscriptions first and let this service consume them (roles/pubsub.subscriber), " +
				"or set PUBSUB_EMULATOR_HOST.",
			p.entries.Check,
		},
		{
			// Commands are recovery-job's, but a sweep sends what anybody left.
			"Pub/Sub topics for updates, phases, commands and dead letters",
			"Create the topics first and let this service publish to them (roles/pubsub.publisher), or set PUBSUB_EMULATOR_HOST.",
			func(ctx context.Context) error {
				return p.publisher.Check(ctx,
					topology.TopicJobUpdates, topology.TopicJobPhases, topology.TopicJobCommands, topology.TopicDeadLetters)
			},
		},
	}
	for _, c := range checks {
		if err := rt.Require(ctx, c.name, c.remedy, c.check); err != nil {
			return fmt.Errorf("start-up check: %w", err)
		}
	}
	return nil
}

// start begins to work. The relay outlives the subscribers, so that the updates
// of the last commits go out before the end.
func (p *parts) start(rt *service.Runtime) {
	var consuming sync.WaitGroup
	consuming.Add(2)
	rt.Go("outbox", func(ctx context.Context) error {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		go func() { consuming.Wait(); stop() }()
		return p.relay.Run(ctx)
	})
	rt.Go("consume", func(ctx context.Context) error {
		defer consuming.Done()
		return p.events.Run(ctx)
	})
	rt.Go("consume log", func(ctx context.Context) error {
		defer consuming.Done()
		return p.entries.Run(ctx)
	})
	rt.Go("sources", p.sources.Run)
	rt.Go("heartbeat", p.heart.run)
}

// budgets is how the time for the shutdown is shared out among those who end
// one after another. The subscriber takes some seconds more than its share to
// give its last acks to a Pub/Sub that does not answer.
type budgets struct{ subscriber, relay, publisher time.Duration }

func split(total time.Duration) budgets {
	return budgets{subscriber: total / 2, relay: total / 8, publisher: total / 16}
}

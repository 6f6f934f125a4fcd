package app

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/notices"
	"github.com/envision/resiliency/pkg/jobstore/relay"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/slackpost"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	shared "github.com/envision/resiliency/pkg/web"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/cleanup"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
	"github.com/envision/resiliency/services/dlq-handler/internal/web"
)

// parts is what the process is made of.
type parts struct {
	records    *jobstore.Store
	letters    *letters.Store
	objects    *bucket.Client
	breaker    *resilience.Breaker
	publisher  *messaging.Publisher
	relay      *relay.Relay
	subscriber *messaging.Subscriber
	engine     *replay.Engine
	runner     *replay.Runner
	auto       *replay.Auto
	health     *health
	server     *shared.Server
	notifier   *notify.Notifier
	progress   *progress
}

// assembly is what is needed while the parts are put together.
type assembly struct {
	*parts
	rt       *service.Runtime
	cfg      *Config
	budget   budgets
	instance string
	notices  *notices.Store
	// subscribe makes the subscriber, once its handler is there.
	subscribe func(handle messaging.RawHandler) *messaging.Subscriber
}

func assemble(ctx context.Context, rt *service.Runtime, cfg *Config) (*parts, error) {
	a := &assembly{parts: &parts{}, rt: rt, cfg: cfg, budget: split(rt.ShutdownBudget()), instance: service.InstanceName(serviceName)}
	a.breaker = resilience.NewBreaker("firestore", resilience.BreakerConfig{}, rt.Registry, rt.Log)
	a.progress = &progress{now: time.Now, waiting: a.breaker.Broken}
	for _, step := range []func(context.Context) error{a.stores, a.bucket, a.messages, a.replays, a.api, a.notes, a.capture} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a.parts, nil
}

func (a *assembly) stores(ctx context.Context) error {
	documents, err := jobstore.NewClient(ctx, a.cfg.ProjectID, a.cfg.FirestoreDatabase)
	if err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	a.rt.Defer("Firestore client", documents.Close)
	a.records = jobstore.New(documents,
		jobstore.WithRegisterer(a.rt.Registry), jobstore.WithWriter(a.instance), jobstore.WithShards(a.cfg.Shards),
		jobstore.WithTimeout(a.cfg.FirestoreTimeout), jobstore.WithOutbox(announce.Changes(resiliencyv1.Source_SOURCE_DLQ_HANDLER)),
		jobstore.WithTrace(messaging.AddTrace))
	a.breaker.ProbeInSilence(ctx, func(ctx context.Context) error { return a.records.Ping(ctx, 0) })
	a.letters = letters.New(documents, letters.Config{Timeout: a.cfg.FirestoreTimeout}, a.rt.Registry)
	a.notices = notices.New(documents, notices.Config{Timeout: a.cfg.FirestoreTimeout})
	return nil
}

// bucket connects to Cloud Storage only where a bucket is configured: its client
// wants credentials at once.
func (a *assembly) bucket(ctx context.Context) error {
	if a.cfg.LettersBucket == "" {
		return nil
	}
	var err error
	if a.objects, err = bucket.New(ctx, 0); err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	a.rt.Defer("Cloud Storage client", a.objects.Close)
	return nil
}

// messages connects to Pub/Sub and makes what sends.
func (a *assembly) messages(ctx context.Context) error {
	broker, err := messaging.NewClient(ctx, a.cfg.ProjectID, messaging.PausedBy(ctx, a.breaker))
	if err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	a.rt.Defer("Pub/Sub client", broker.Close)
	a.publisher = messaging.NewPublisher(broker, messaging.PublisherConfig{}, a.rt.Registry, a.rt.Log)
	a.rt.Defer("publisher", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.budget.publisher)
		defer cancel()
		return a.publisher.Close(ctx)
	})
	a.relay = relay.New(a.records, a.publisher,
		relay.Config{SweepEvery: a.cfg.SweepEvery, Drain: a.budget.relay}, a.rt.Registry, a.rt.Log)
	a.subscribe = func(handle messaging.RawHandler) *messaging.Subscriber {
		// No publisher: there are no dead letters of dead letters.
		return messaging.NewRawSubscriber(broker, nil, messaging.Config{
			Subscription:   topology.SubscriptionDeadLettersDLQHandler,
			MaxOutstanding: a.cfg.MaxOutstanding, MaxOutstandingBytes: a.cfg.MaxOutstandingBytes,
			ShutdownBudget: a.budget.subscriber, Gate: a.breaker,
		}, handle, a.rt.Registry, a.rt.Log)
	}

	return nil
}

func (a *assembly) replays(context.Context) error {
	a.engine = replay.New(replay.Parts{
		Letters: a.letters, Publisher: a.publisher, Objects: replay.Bucket{Client: a.objects, Name: a.cfg.LettersBucket},
		Metrics: replay.NewMetrics(a.rt.Registry), Now: time.Now, Log: a.rt.Log,
	})
	a.runner = replay.NewRunner(a.engine, replay.RunnerConfig{
		Owner: a.instance, Lease: a.cfg.OperationLease, Poll: a.cfg.OperationLease / 2,
	})
	a.health = newHealth(dependencies(a.breaker.Ready, a.publisher.Ready), time.Now)
	a.auto = replay.NewAuto(a.engine, a.health, replay.AutoConfig{
		Dependencies: a.cfg.dependencies(), After: a.cfg.AutoReplayAfter, Every: a.cfg.AutoReplayEvery,
		Rate: a.cfg.AutoReplayRate, MaxReplays: a.cfg.AutoReplayMax,
	})
	return nil
}

// api takes the address of the pages.
func (a *assembly) api(ctx context.Context) error {
	site, err := web.New(web.Parts{
		Auth: a.cfg.Auth, HTTP: a.cfg.HTTP, Store: a.letters, Replayer: a.engine,
		DefaultRate: replay.DefaultRate, MaxRate: replay.MaxRate,
		Registerer: a.rt.Registry, Now: time.Now, Log: a.rt.Log,
	})
	if err != nil {
		return fmt.Errorf("public API: %w", err)
	}
	//nolint:contextcheck // the server ends with the context of its Run
	a.server = shared.NewServer(a.cfg.HTTP.Addr, site.Handler, a.budget.api, a.rt.Log)
	if err := a.server.Listen(ctx, site.Auth.CheckListener); err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	site.Auth.Check(ctx)
	return nil
}

// notes prepares what developers are told. Where the pages are for this machine
// alone their address is known.
func (a *assembly) notes(context.Context) error {
	cfg := a.cfg.Notify
	if cfg.PublicURL == "" && a.cfg.Auth.Mode == authn.ModeNone {
		cfg.PublicURL = "http://" + a.server.Addr()
	}
	poster, err := slackpost.New(&cfg, a.rt.Log)
	if err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	a.notifier, err = notify.New(cfg, notify.Parts{
		Store: a.notices, Poster: poster, Instance: a.instance, Registerer: a.rt.Registry, Log: a.rt.Log, Now: time.Now,
	})
	return err //nolint:wrapcheck // it says what was attempted
}

// capture makes what takes letters in.
func (a *assembly) capture(context.Context) error {
	cleaner := cleanup.New(cleanup.Parts{Records: a.records, Breaker: a.breaker, Outbox: a.relay, Now: time.Now, Log: a.rt.Log})
	handler := capture.New(capture.Parts{
		Letters: a.letters, Objects: capture.Bucket{Client: a.objects, Name: a.cfg.LettersBucket},
		Records: a.records, Cleaner: cleaner, Notes: a.notifier, Breaker: a.breaker, Outbox: a.relay,
		Metrics: capture.NewMetrics(a.rt.Registry), ProjectID: a.cfg.ProjectID, Now: time.Now, Log: a.rt.Log,
	})
	a.subscriber = a.subscribe(a.progress.track(handler.Handle))
	return nil
}

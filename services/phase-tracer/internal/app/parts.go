package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore"
	kept "github.com/envision/resiliency/pkg/jobstore/ledger"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/api"
	"github.com/envision/resiliency/services/phase-tracer/internal/consume"
	"github.com/envision/resiliency/services/phase-tracer/internal/export"
	"github.com/envision/resiliency/services/phase-tracer/internal/ledger"
	"github.com/envision/resiliency/services/phase-tracer/internal/trace"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

// parts is what the process is made of.
type parts struct {
	records   *jobstore.Store
	phases    *phases.Store
	finder    *search.Store
	letters   *letters.Store
	breaker   *resilience.Breaker
	publisher *messaging.Publisher
	batcher   *phases.Batcher
	book      *ledger.Book
	spans     *export.Exporter
	// events and updates are the two subscriptions.
	events, updates *messaging.Subscriber
	server          *shared.Server
	progress        *progress
}

// assembly is what is needed while the parts are put together.
type assembly struct {
	*parts

	rt     *service.Runtime
	cfg    *Config
	budget budgets
}

func assemble(ctx context.Context, rt *service.Runtime, cfg *Config) (*parts, error) {
	a := &assembly{parts: &parts{}, rt: rt, cfg: cfg, budget: split(rt.ShutdownBudget())}
	a.breaker = resilience.NewBreaker("firestore", resilience.BreakerConfig{}, rt.Registry, rt.Log)
	a.progress = &progress{now: time.Now, waiting: a.breaker.Broken}
	for _, step := range []func(context.Context) error{a.stores, a.export, a.messages, a.api} {
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
	timeout, reg := a.cfg.FirestoreTimeout, a.rt.Registry
	// This service changes no record, so it needs no cache of them.
	a.records = jobstore.New(documents,
		jobstore.WithRegisterer(reg), jobstore.WithShards(a.cfg.Shards), jobstore.WithTimeout(timeout))
	a.breaker.ProbeInSilence(ctx, func(ctx context.Context) error { return a.records.Ping(ctx, 0) })
	a.phases = phases.New(documents, timeout, reg)
	a.finder = search.New(documents, a.cfg.Shards, timeout, reg)
	a.letters = letters.New(documents, letters.Config{Timeout: timeout}, reg)
	a.book = ledger.New(sums{kept.New(documents, timeout, reg)}, a.phases, time.Now, reg, a.rt.Log)
	a.batcher = phases.NewBatcher(a.phases, phases.BatcherConfig{Guard: a.breaker.Do}, reg)
	return nil
}

// export sends spans where an endpoint is configured.
func (a *assembly) export(ctx context.Context) error {
	if a.cfg.OTLPEndpoint == "" {
		return nil
	}
	var err error
	if a.spans, err = export.New(ctx, export.Config{Endpoint: a.cfg.OTLPEndpoint, Version: a.rt.Version}, a.rt.Registry); err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	a.rt.Defer("span exporter", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.budget.publisher)
		defer cancel()
		return a.spans.Close(ctx)
	})
	a.book.OnFinished(a.spans.Finished)
	return nil
}

// messages connects to Pub/Sub and makes what takes messages in.
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
	ttls, err := a.cfg.ttls()
	if err != nil {
		return err
	}
	listeners := []consume.Listener{a.book}
	if a.spans != nil {
		listeners = append(listeners, a.spans)
	}
	handler := consume.New(consume.Parts{
		Writer: a.batcher, Tenants: consume.NewTenantCache(a.records, time.Now), TTLs: ttls, Listeners: listeners,
		Metrics: consume.NewMetrics(a.rt.Registry), Now: time.Now, Log: a.rt.Log,
	})
	settings := messaging.Config{
		MaxOutstanding: a.cfg.MaxOutstanding, MaxOutstandingBytes: a.cfg.MaxOutstandingBytes,
		ShutdownBudget: a.budget.subscriber, Gate: a.breaker,
	}
	settings.Subscription = topology.SubscriptionJobPhasesPhaseTracer
	a.events = messaging.NewSubscriber(broker, a.publisher, settings, track(a.progress, handler.HandlePhase), a.rt.Registry, a.rt.Log)
	settings.Subscription = topology.SubscriptionJobUpdatesPhaseTracer
	a.updates = messaging.NewSubscriber(broker, a.publisher, settings, track(a.progress, handler.HandleUpdate), a.rt.Registry, a.rt.Log)
	return nil
}

// api takes the address of API and pages.
func (a *assembly) api(ctx context.Context) error {
	reader := trace.NewReader(a.records, a.phases, a.letters, time.Now)
	site, err := web.New(web.Parts{
		Jobs: reader, Finder: a.finder, Ledger: durations{a.book}, LettersURL: a.cfg.LettersURL, Now: time.Now, Log: a.rt.Log,
	})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	calls := api.New(api.Parts{Jobs: reader, Finder: a.finder, Ledger: a.book, Errors: site.Errors, Now: time.Now, Log: a.rt.Log})
	auth, err := authn.New(a.cfg.Auth, site.Errors.Refuse, a.rt.Registry, time.Now, a.rt.Log)
	if err != nil {
		return fmt.Errorf("authentication: %w", err)
	}
	handler, err := a.router(site, calls, auth)
	if err != nil {
		return err
	}
	//nolint:contextcheck // the server ends with the context of its Run
	a.server = shared.NewServer(a.cfg.HTTP.Addr, handler, a.budget.api, a.rt.Log)
	if err := a.server.Listen(ctx, auth.CheckListener); err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	auth.Check(ctx)
	return nil
}

func (a *assembly) router(site *web.Site, calls *api.API, auth *authn.Authenticator) (http.Handler, error) {
	limit, err := shared.RateLimit(a.cfg.HTTP, site.Errors, a.rt.Registry)
	if err != nil {
		return nil, fmt.Errorf("rate limit: %w", err)
	}
	router := shared.NewRouter(site.Errors, site.Assets, a.rt.Registry, a.rt.Log)
	router.Group(func(r chi.Router) {
		r.Use(auth.Authenticate, limit)
		site.Routes(r)
		calls.Routes(r)
	})
	return router, nil
}

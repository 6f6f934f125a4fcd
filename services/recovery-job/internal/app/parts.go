package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/jobstore/leases"
	"github.com/envision/resiliency/pkg/jobstore/notices"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/slackpost"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/recovery-job/internal/cluster"
	"github.com/envision/resiliency/services/recovery-job/internal/digest"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/output"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
	runner "github.com/envision/resiliency/services/recovery-job/internal/run"
)

const source = resiliencyv1.Source_SOURCE_RECOVERY_JOB

// parts is what the process is made of.
type parts struct {
	rt       *service.Runtime
	cfg      *Config
	instance string
	records  *jobstore.Store
	leases   *leases.Store
	runs     *runs.Store
	notices  *notices.Store
	prober   *cluster.Prober
	probes   *probes
	health   *health
	outbox   *outbox
}

// assemble connects to everything. Only Firestore is required: without the
// cluster, the bucket or Pub/Sub what needs them is told as not judged or not sent.
func assemble(ctx context.Context, rt *service.Runtime, cfg *Config) (*parts, error) {
	for _, w := range cfg.rules.Warnings {
		rt.Log.Warn().Str("rules", cfg.Rules).Msg(w.String())
	}
	p := &parts{rt: rt, cfg: cfg, instance: service.InstanceName(serviceName)}
	for _, step := range []func(context.Context) error{p.stores, p.sources} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	err := rt.Require(ctx, "Firestore",
		"Check that the database exists and that this service may read and write it (roles/datastore.user), or set FIRESTORE_EMULATOR_HOST.",
		func(ctx context.Context) error { return p.records.Ping(ctx, 0) })
	if err != nil {
		return nil, fmt.Errorf("start-up check: %w", err)
	}
	rt.Ready("firestore", func(ctx context.Context) error { return p.records.Ping(ctx, time.Minute) })
	p.checkAccess(ctx)
	return p, nil
}

// checkAccess says once, in plain words, which right is missing: beside each job
// that is not judged for want of it stands only what the API server says.
func (p *parts) checkAccess(ctx context.Context) {
	if err := p.prober.CheckAccess(ctx); err != nil {
		p.rt.Log.Warn().Err(err).Str("cluster", p.cfg.Cluster).
			Msg("not all of the cluster can be looked into: jobs for which it is asked are not judged")
	}
}

func (p *parts) stores(ctx context.Context) error {
	documents, err := jobstore.NewClient(ctx, p.cfg.ProjectID, p.cfg.FirestoreDatabase)
	if err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	p.rt.Defer("Firestore client", documents.Close)
	// No cache: a record is read once and decided on as it was read.
	p.records = jobstore.New(documents,
		jobstore.WithRegisterer(p.rt.Registry), jobstore.WithWriter(p.instance), jobstore.WithShards(p.cfg.Shards),
		jobstore.WithCache(0, 0), jobstore.WithTimeout(p.cfg.FirestoreTimeout), jobstore.WithOutbox(announce.Changes(source)))
	p.leases = leases.New(documents, leases.Config{TTL: p.cfg.LeaseTTL, Timeout: p.cfg.FirestoreTimeout})
	p.runs = runs.New(documents, p.cfg.FirestoreTimeout)
	p.notices = notices.New(documents, notices.Config{Timeout: p.cfg.FirestoreTimeout})
	messages := &broker{project: p.cfg.ProjectID, reg: p.rt.Registry, log: p.rt.Log}
	p.rt.Defer("Pub/Sub client", messages.close)
	p.outbox = newOutbox(p.records, messages, p.rt.Registry, p.rt.Log)
	p.health = &health{beats: p.records.Heartbeats, pubsub: messages.answers, now: time.Now}
	return nil
}

// outputTimes is how many times as long a question about output may take: a place
// may hold a great many objects.
const outputTimes = 3

func (p *parts) sources(ctx context.Context) error {
	tenants, err := p.cfg.tenants()
	if err != nil {
		return err
	}
	client, err := cluster.Connect(p.cfg.Kubeconfig, serviceName+"/"+p.rt.Version)
	if err != nil {
		return err //nolint:wrapcheck // it says what was attempted
	}
	mapper := &kube.Mapper{Cluster: p.cfg.Cluster, Source: source, Reporter: p.instance, Tenants: tenants}
	p.prober = cluster.New(client, mapper, cluster.Config{Timeout: p.cfg.ProbeTimeout, ListFrom: listFrom}, time.Now, p.rt.Log)
	p.probes = &probes{cluster: p.prober, records: p.records}
	objects, err := bucket.New(ctx, p.cfg.ProbeTimeout)
	if err != nil {
		p.rt.Log.Error().Err(err).Msg("no output can be looked at: jobs that are judged by it are not judged")
		p.probes.output = noBucket{err}
		return nil
	}
	p.rt.Defer("Cloud Storage client", objects.Close)
	p.probes.output = output.New(objects, outputTimes*p.cfg.ProbeTimeout)
	return nil
}

// runParts are those of a plan; a run adds what it writes by. ctx is that of all of
// it.
func (p *parts) runParts(ctx context.Context) runner.Parts {
	return runner.Parts{
		Records: p.records, Journal: p.runs, Cluster: labelled{p.prober}, Probes: p.probes.during(ctx), Health: p.health,
		Judge: &judge.Judge{
			Home:  judge.Home{Cluster: p.cfg.Cluster, Unclaimed: p.cfg.Unclaimed, Reporter: p.instance},
			Rules: p.cfg.rules,
		},
		Metrics: runner.NewMetrics(p.rt.Registry), Now: time.Now, Log: p.rt.Log,
	}
}

// Options of a run that nobody needs to set.
const (
	// page is how many due records are read at once.
	page = 100
	// judgeShare is the share of a run's time that is for judging; the rest is for
	// writing what waited for the guard.
	judgeShare = 0.8
)

func (p *parts) options(draw func(judged int)) runner.Options {
	return runner.Options{
		RunID: uuid.NewString(), Cluster: p.cfg.Cluster, Instance: p.instance, Version: p.rt.Version,
		Shards: p.cfg.Shards, Parallel: p.cfg.Parallel, Page: page, Limit: p.cfg.Limit,
		JudgeFor: time.Duration(float64(p.cfg.RunDeadline) * judgeShare),
		Only:     p.cfg.Only, Rule: p.cfg.Rule, Guard: p.cfg.guard(),
		MissingAfter: p.cfg.MissingAfter, Progress: draw,
	}
}

// post puts the digest on record and tries to send it; what cannot be sent now is
// sent by the next process that sends notices.
func (p *parts) post(ctx context.Context, r *report.Report) {
	d, some := digest.Of(r)
	if !some {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, notifyFor)
	defer cancel()
	poster, err := slackpost.New(&p.cfg.Notify, p.rt.Log)
	if err != nil {
		p.rt.Log.Error().Err(err).Msg("developers are not told of the run")
		return
	}
	notifier, err := notify.New(p.cfg.Notify, notify.Parts{
		Store: p.notices, Poster: poster, Instance: p.instance, Registerer: p.rt.Registry, Log: p.rt.Log, Now: time.Now,
	})
	if err == nil {
		err = notifier.Post(ctx, &d)
	}
	if err == nil {
		err = notifier.Drain(ctx)
	}
	if err != nil {
		p.rt.Log.Warn().Err(err).Msg("developers are not told of the run yet")
	}
}

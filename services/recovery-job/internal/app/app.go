// Package app puts recovery-job together: its commands, configuration, clients and
// stores, the lease around a run, and what comes after it. It holds no logic of
// its own.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/leases"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
	runner "github.com/envision/resiliency/services/recovery-job/internal/run"
)

const (
	serviceName = "recovery-job"
	description = "Finds the jobs that are stuck, judges them on evidence, and closes or resumes them."
)

// errUnsettled says that the run is over and something is left to be judged.
var errUnsettled = errors.New("not every job could be judged")

// plan shows what a run would do.
func (p *process) plan(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	p.logClients(rt.Log)
	with, err := assemble(ctx, rt, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.RunDeadline)
	defer cancel()
	parts := with.runParts(ctx)
	parts.Journal = nil
	r, err := runner.New(parts, with.options(nil)).Run(ctx)
	if showErr := show(p.stdout, cfg.Output, formatTable, r); err == nil {
		err = showErr
	}
	return conclude(r, err)
}

// run makes a run under the lease.
func (p *process) run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	p.logClients(rt.Log)
	with, err := assemble(ctx, rt, cfg)
	if err != nil {
		return err
	}
	lease, err := with.acquire(ctx)
	if err != nil {
		return err
	}
	held, stop := lease.Keep(ctx)
	r, err := with.run(held, lease, p.stderr)
	stop()
	after, cancel := outlive(ctx, rt.ShutdownBudget()*3/4)
	defer cancel()
	if releaseErr := lease.Release(after); releaseErr != nil {
		rt.Log.Warn().Err(releaseErr).Msg("the lease ends by itself")
	}
	with.tell(after, r)
	if showErr := show(p.stdout, cfg.Output, formatNone, r); err == nil {
		err = showErr
	}
	return conclude(r, err)
}

// acquire waits for the lease: the run before may be about to end, or was killed.
func (p *parts) acquire(ctx context.Context) (*leases.Lease, error) {
	name := serviceName + "." + p.cfg.Cluster
	deadline := time.NewTimer(p.cfg.LeaseWait)
	defer deadline.Stop()
	for {
		lease, err := p.leases.Acquire(ctx, name, p.instance)
		var held *leases.HeldError
		if err == nil || !errors.As(err, &held) {
			return lease, err //nolint:wrapcheck // it says what was attempted
		}
		p.rt.Log.Info().Str("holder", held.Holder).Time("until", held.Until).Msg("waiting for another run")
		again := time.NewTimer(min(max(time.Until(held.Until), leaseLook), p.cfg.LeaseTTL))
		select {
		case <-again.C:
		case <-deadline.C:
			again.Stop()
			return nil, fmt.Errorf("another run goes on: %w", err)
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx) //nolint:wrapcheck // the end of the process
		}
	}
}

// leaseLook is the least time between two looks at a lease that is held.
const leaseLook = 200 * time.Millisecond

// run makes the run and sends what it has committed.
func (p *parts) run(ctx context.Context, lease *leases.Lease, stderr io.Writer) (*report.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.RunDeadline)
	defer cancel()
	if p.health.Pipeline(ctx).PubSub == "" {
		p.outbox.start(ctx)
	}
	draw, done := progress(stderr)
	parts := p.runParts(ctx)
	parts.Writer, parts.Outbox, parts.Fence = p.records, p.outbox, lease.Fence
	opts := p.options(draw)
	opts.Token = lease.Number()
	r, err := runner.New(parts, opts).Run(ctx)
	done()
	return r, err
}

// Bounds of what comes after a run.
const (
	sendFor   = 2 * time.Minute
	notifyFor = 30 * time.Second
)

// outlive is a context that ends some time after ctx does: a run that is told to
// end still says what it did.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// tell says what came of the run, to everybody in turn: the product, people, and
// whoever watches that runs are made. Nothing of it can fail the run.
func (p *parts) tell(ctx context.Context, r *report.Report) {
	sending, cancel := context.WithTimeout(ctx, sendFor)
	sent, err := p.outbox.finish(sending)
	cancel()
	if r.Sent = sent; err != nil {
		p.rt.Log.Warn().Err(err).Msg("not everything was sent")
	}
	if err := beat(ctx, p.records, jobstore.Heartbeat{
		Service: serviceName, Instance: p.cfg.Cluster, Version: p.rt.Version, At: time.Now(), Every: time.Hour,
		ProgressAt: progressAt(r), InHand: int64(r.Unsettled()), Receiving: r.Silent == "",
	}); err != nil {
		p.rt.Log.Warn().Err(err).Msg("heartbeat not written, or not with the time of the last progress")
	}
	p.post(ctx, r)
	p.summarize(r)
}

// heartbeats is where they are kept.
type heartbeats interface {
	Beat(ctx context.Context, h jobstore.Heartbeat) error
	Heartbeats(ctx context.Context, service string) ([]jobstore.Heartbeat, error)
}

// beat writes a run's heartbeat. A run that has not settled all keeps what the
// heartbeat before it says of progress.
func beat(ctx context.Context, to heartbeats, h jobstore.Heartbeat) error {
	var unread error
	if h.ProgressAt.IsZero() {
		var before []jobstore.Heartbeat
		before, unread = to.Heartbeats(ctx, h.Service)
		for i := range before {
			if before[i].Instance == h.Instance {
				h.ProgressAt = before[i].ProgressAt
			}
		}
	}
	return errors.Join(unread, to.Beat(ctx, h))
}

// progressAt is when a run has settled all; zero if it has not.
func progressAt(r *report.Report) time.Time {
	if r.State != report.Done || r.Unsettled() > 0 {
		return time.Time{}
	}
	return r.EndedAt
}

// summarize writes the one line by which alerts know that a run was made.
func (p *parts) summarize(r *report.Report) {
	level := zerolog.InfoLevel
	if r.State != report.Done || r.Unsettled() > 0 {
		level = zerolog.ErrorLevel
	}
	p.rt.Log.WithLevel(level).Str("run_id", r.RunID).Str("cluster", r.Cluster).Str("state", string(r.State)).Str("reason", r.Error).
		Int("read", r.Read).Int("looked", r.Looked).Int("unsettled", r.Unsettled()).Int("swept", r.Sent).
		Interface("fates", r.Counts).Interface("reasons", r.Reasons).Str("pipeline_silent", r.Silent).
		Float64("seconds", r.EndedAt.Sub(r.StartedAt).Seconds()).Msg("recovery run ended")
}

// conclude is the run's error: nil only if all that was due is settled.
func conclude(r *report.Report, err error) error {
	switch {
	case err != nil:
		return err
	case r.State != report.Done:
		return fmt.Errorf("%w: %s", errUnsettled, r.Error)
	case r.Unsettled() > 0:
		return fmt.Errorf("%w: %d are left; %d were looked at", errUnsettled, r.Unsettled(), r.Looked)
	default:
		return nil
	}
}

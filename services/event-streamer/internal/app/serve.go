package app

import (
	"context"
	"fmt"
	"os"

	"github.com/envision/resiliency/services/event-streamer/internal/lease"
	"github.com/envision/resiliency/services/event-streamer/internal/watermark"
)

// serve starts watch, queue, watermark and election. At the end the watch stops
// first, so that the queue flushes all that was seen; then the watermark is
// saved, and last the Lease is released, so that the next leader finds it.
func (p *parts) serve(ctx context.Context) error {
	keeper, err := p.requireWatermark(ctx)
	if err != nil {
		return err
	}
	campaign, err := p.campaign(keeper)
	if err != nil {
		return err
	}
	term, end := context.WithCancel(context.WithoutCancel(ctx))
	watched := p.watch(ctx)
	p.rt.Go("deliver", func(ctx context.Context) error {
		defer end()
		err := p.queue.Run(watched)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.rt.ShutdownBudget()/5)
		defer cancel()
		keeper.Close(last)
		return err //nolint:wrapcheck // always nil
	})
	p.rt.Go("watermark", func(context.Context) error { return keeper.Run(term) })
	p.rt.Go("election", func(context.Context) error { return campaign(term) })
	return nil
}

// watch starts the watcher; the context that it returns ends after it.
func (p *parts) watch(ctx context.Context) context.Context {
	watched, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.rt.Go("watch", func(ctx context.Context) error {
		defer cancel()
		defer context.AfterFunc(ctx, p.queue.Unblock)()
		return p.watcher.Run(ctx)
	})
	return watched
}

// requireWatermark checks the rights to what replicas share and reads the
// watermark before anything is watched: what it covers then takes no room.
func (p *parts) requireWatermark(ctx context.Context) (*watermark.Keeper, error) {
	e := &p.cfg.Election
	remedy := "Bind a ClusterRole that allows get on namespace kube-system, and Roles that allow create, get and update on configmaps in " +
		e.WatermarkNamespace + ", and on leases (coordination.k8s.io) in " + e.Namespace + ", to this service's account."
	err := p.rt.Require(ctx, "access to the lease and the watermark", remedy, func(ctx context.Context) error {
		return checkAccess(ctx, p.client, replicaNeeds(e))
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // a sentence for the operator
	}
	var keeper *watermark.Keeper
	err = p.rt.Require(ctx, "the watermark", "Check the API server.", func(ctx context.Context) error {
		uid, err := clusterUID(ctx, p.client)
		if err != nil {
			return err
		}
		if keeper == nil {
			keeper = p.keeper(uid)
		}
		return keeper.Load(ctx)
	})
	return keeper, err //nolint:wrapcheck // a sentence for the operator
}

func (p *parts) keeper(uid string) *watermark.Keeper {
	receiver := publishLog
	if p.cfg.Publish == publishPubSub {
		receiver = publishPubSub + "/" + p.cfg.ProjectID
	}
	e := &p.cfg.Election
	store := watermark.NewStore(p.client.CoreV1().ConfigMaps(e.WatermarkNamespace), e.watermark(),
		watermark.Identity{ClusterUID: uid, Cluster: p.cfg.Cluster, Receiver: receiver}, p.rt.Log)
	return watermark.NewKeeper(store, p.queue, p.rt.Registry, p.rt.Log)
}

// campaign returns what makes this process lead: an election, or nothing but the
// operator's word that it is alone.
func (p *parts) campaign(keeper *watermark.Keeper) (func(context.Context) error, error) {
	e := &p.cfg.Election
	if !e.Enabled {
		return func(ctx context.Context) error { p.lead(ctx, keeper); return nil }, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find this host's name: %w", err)
	}
	elector := lease.New(p.client.CoordinationV1(), lease.Config{
		Namespace: e.Namespace, Name: e.Name,
		// No two live processes share host and port, while a container that was
		// restarted has both from the one before it, and need not wait for it.
		Identity: host + "_" + p.rt.AdminAddr(),
		Duration: e.Duration, RenewDeadline: e.RenewDeadline, RetryPeriod: e.RetryPeriod,
	}, p.rt.Log)
	lead := func(ctx context.Context) { p.lead(ctx, keeper) }
	return func(ctx context.Context) error { return elector.Run(ctx, lead, func() { p.stand(keeper) }) }, nil
}

// lead makes the queue send, and then the pool take capsules.
func (p *parts) lead(ctx context.Context, keeper *watermark.Keeper) {
	keeper.Lead(ctx)
	if p.pool != nil && ctx.Err() == nil {
		p.pool.Lead()
	}
}

func (p *parts) stand(keeper *watermark.Keeper) {
	keeper.Stand()
	if p.pool != nil {
		p.pool.Stand()
	}
}

// resync publishes all that the cluster shows, and ends the process.
func (p *parts) resync(ctx context.Context) {
	done, end := context.WithCancel(context.WithoutCancel(ctx))
	p.rt.Go("deliver", func(context.Context) error { return p.queue.Run(done) })
	p.rt.Go("resync", func(ctx context.Context) error {
		defer end()
		defer context.AfterFunc(ctx, p.queue.Unblock)()
		err := p.watcher.Once(ctx)
		if err == nil {
			err = p.queue.Drained(ctx)
		}
		switch {
		case ctx.Err() != nil: // not wrapped: that would pass for a normal end
			return fmt.Errorf("publish everything again: stopped before the end, with %d facts unconfirmed", p.queue.Pending())
		case err != nil:
			return fmt.Errorf("publish everything again: %w", err)
		}
		p.rt.Log.Info().Msg("everything that the cluster shows is published again")
		return nil
	})
}

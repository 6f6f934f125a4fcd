package app

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule/source"
	"github.com/envision/resiliency/services/event-streamer/internal/deliver"
)

// capsuleCalls is how many calls of the API server capsules may make in a second,
// about five for each: a wave of failures must not become a wave of requests.
const capsuleCalls = 50

// capture starts the pool of capsules. Nothing of what it needs is required:
// what is missing is said, and capsules are less complete.
func (p *parts) capture(ctx context.Context, namespaces []string, sender deliver.Sender, mapper *kube.Mapper) error {
	// Its own client: what waits for its limit must not hold back the watch's calls.
	client, err := newClient(p.cfg.Kubeconfig, p.rt.Version, capsuleCalls)
	if err != nil {
		return err
	}
	c := &p.cfg.Capsules
	var store capsule.Store
	var kept *objects
	if c.Bucket != "" {
		if kept, err = p.newObjects(ctx, c.Bucket); err != nil {
			return err
		}
		store = kept
	}
	p.pool, err = capsule.New(capsule.Config{
		Workers: c.Workers, Timeout: c.Timeout,
		// It ends before the queue does, and well before the clients are closed.
		Flush: p.rt.ShutdownBudget() / 4,
	}, source.New(client), store, sender, mapper, p.rt.Registry, p.rt.Log)
	if err != nil {
		return fmt.Errorf("set up capsules: %w", err)
	}
	p.watcher.Capture(p.pool)
	p.rt.Go("capsules", p.pool.Run)
	p.rt.Go("look at what capsules need", func(ctx context.Context) error {
		p.lookAhead(ctx, client, namespaces, kept)
		return nil
	})
	return nil
}

// lookAheadTimeout bounds the look at what capsules need.
const lookAheadTimeout = 30 * time.Second

// lookAhead says at the start what capsules will lack.
func (p *parts) lookAhead(ctx context.Context, client kubernetes.Interface, namespaces []string, o *objects) {
	ctx, cancel := context.WithTimeout(ctx, lookAheadTimeout)
	defer cancel()
	if err := checkAccess(ctx, client, capsuleNeeds(namespaces)); err != nil && ctx.Err() == nil {
		p.rt.Log.Warn().Err(err).Msg("capsules of failed pods will be incomplete: bind a Role that allows get on pods and " +
			"pods/log and list on events in each of the namespaces, or set CAPSULES=false")
	}
	if o == nil {
		return
	}
	if err := o.client.Check(ctx, o.bucket); err != nil {
		p.rt.Log.Warn().Err(err).Msg("large capsules of failed pods will be cut: create the bucket and let this service " +
			"write its objects (roles/storage.objectUser), or unset CAPSULE_BUCKET")
	}
}

// objects keeps capsules in a bucket. While Cloud Storage is down it is not
// waited for each time.
type objects struct {
	client  *bucket.Client
	bucket  string
	breaker *resilience.Breaker
}

func (p *parts) newObjects(ctx context.Context, name string) (*objects, error) {
	client, err := bucket.New(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("set up the bucket of capsules: %w", err)
	}
	p.rt.Defer("bucket client", client.Close)
	breaker := resilience.NewBreaker(bucket.Dependency, resilience.BreakerConfig{}, p.rt.Registry, p.rt.Log)
	// The next large capsule may be long in coming.
	breaker.ProbeInSilence(ctx, func(ctx context.Context) error { return client.Check(ctx, name) })
	return &objects{client: client, bucket: name, breaker: breaker}, nil
}

// Put implements capsule.Store.
func (o *objects) Put(ctx context.Context, object string, data []byte) (uri string, err error) {
	err = o.breaker.Do(ctx, func(ctx context.Context) error { return o.client.Put(ctx, o.bucket, object, data) })
	return bucket.URI(o.bucket, object), err //nolint:wrapcheck // says which object
}

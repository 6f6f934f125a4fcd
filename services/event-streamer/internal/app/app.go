// Package app wires event-streamer: configuration, clients, start-up checks,
// and the order in which its parts end. It holds no logic of its own.
package app

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/deliver"
	"github.com/envision/resiliency/services/event-streamer/internal/publish"
	"github.com/envision/resiliency/services/event-streamer/internal/watch"
)

// Run starts the service and returns; its workers go on.
func Run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	// client-go logs through klog, which is one for the process.
	klog.SetLogger(logr.FromSlogHandler(zerolog.NewSlogHandler(
		rt.Log.Level(zerolog.WarnLevel).With().Str("component", "client-go").Logger())))
	tenants, err := cfg.tenants()
	if err != nil {
		return err
	}
	client, err := requireCluster(ctx, rt, cfg, namespaces(tenants))
	if err != nil {
		return err
	}
	publisher, err := requirePubSub(ctx, rt, cfg)
	if err != nil {
		return err
	}
	breaker := resilience.NewBreaker("pubsub", resilience.BreakerConfig{
		// The client has retried for long before it reports a failure, and a
		// missing topic comes at once: one is enough.
		Failures: 1, OpenFor: messaging.OutageRetryDelay,
	}, rt.Registry, rt.Log)
	queue := deliver.New(deliver.Config{
		Workers: cfg.Workers, MaxPending: cfg.MaxPending, Stall: cfg.StallLimit,
		Flush: rt.ShutdownBudget() * 3 / 4,
	}, publish.New(publisher, breaker, rt.Log), rt.Registry, rt.Log)
	reporter, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find this host's name: %w", err)
	}
	watcher, err := watch.New(client, namespaces(tenants), &kube.Mapper{
		Cluster: cfg.Cluster, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: reporter, Tenants: tenants,
	}, queue, rt.Registry, rt.Log)
	if err != nil {
		return fmt.Errorf("set up the watch: %w", err)
	}
	rt.Ready("watch", watcher.Ready)
	rt.Live("deliver", queue.Live)
	start(ctx, rt, watcher, queue)
	return nil
}

// start runs watch and queue. At the end the watch stops first, so that the
// queue flushes all that was seen.
func start(ctx context.Context, rt *service.Runtime, watcher *watch.Watcher, queue *deliver.Queue) {
	watched, cancel := context.WithCancel(context.WithoutCancel(ctx))
	rt.Go("watch", func(ctx context.Context) error {
		defer cancel()
		defer context.AfterFunc(ctx, queue.Unblock)()
		return watcher.Run(ctx)
	})
	rt.Go("deliver", func(context.Context) error { return queue.Run(watched) })
}

// requireCluster connects to the API server and checks that it answers and that
// this process may do what it has to.
func requireCluster(ctx context.Context, rt *service.Runtime, cfg *Config, namespaces []string) (kubernetes.Interface, error) {
	client, err := newClient(cfg.Kubeconfig, rt.Version)
	if err != nil {
		return nil, err
	}
	err = rt.Require(ctx, "kubernetes", "Check that KUBECONFIG names a cluster that can be reached.", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // a sentence for the operator
	}
	remedy := "Bind a Role that allows get, list and watch on jobs (batch) and list and watch on pods " +
		"in each of the namespaces to this service's account."
	err = rt.Require(ctx, "access to jobs and pods", remedy, func(ctx context.Context) error {
		return checkAccess(ctx, client, namespaces)
	})
	return client, err //nolint:wrapcheck // a sentence for the operator
}

// requirePubSub connects to Pub/Sub and checks that it answers. A missing topic
// is no reason to give up: it is being provisioned, and facts are kept meanwhile.
func requirePubSub(ctx context.Context, rt *service.Runtime, cfg *Config) (*messaging.Publisher, error) {
	client, err := messaging.NewClient(ctx, cfg.ProjectID)
	if err != nil {
		return nil, fmt.Errorf("set up Pub/Sub: %w", err)
	}
	rt.Defer("pubsub client", client.Close)
	publisher := messaging.NewPublisher(client, messaging.PublisherConfig{}, rt.Registry, rt.Log)
	rt.Defer("publisher", func() error {
		// The queue has waited for all it could: this only frees what is held.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := publisher.Close(ctx); err != nil {
			rt.Log.Warn().Err(err).Msg("publisher closed with unconfirmed messages; the next start says them again")
		}
		return nil
	})
	check := func(ctx context.Context) error {
		return publisher.Check(ctx, topology.TopicJobEvents, topology.TopicJobPhases)
	}
	remedy := "Check GOOGLE_CLOUD_PROJECT and the credentials, or PUBSUB_EMULATOR_HOST."
	err = rt.Require(ctx, "pubsub", remedy, func(ctx context.Context) error {
		if err := check(ctx); status.Code(err) != codes.NotFound {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // a sentence for the operator
	}
	rt.Ready("pubsub", ready(publisher.Ready, check))
	return publisher, nil
}

// ready asks for the topics until they were seen once; from then on what
// publishing meets is what counts, and costs no call.
func ready(newest, check func(context.Context) error) func(context.Context) error {
	var seen atomic.Bool
	return func(ctx context.Context) error {
		if err := newest(ctx); err != nil || seen.Load() {
			return err
		}
		if err := check(ctx); err != nil {
			return err
		}
		seen.Store(true)
		return nil
	}
}

package app

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/event-streamer/internal/deliver"
	"github.com/envision/resiliency/services/event-streamer/internal/publish"
)

// newSender makes what takes facts to where they are confirmed. For the log no
// Pub/Sub client is made: whatever is wrong there must not touch the witness.
func newSender(ctx context.Context, rt *service.Runtime, cfg *Config) (deliver.Sender, error) {
	if cfg.Publish == publishLog {
		return publish.NewLogWriter(os.Stdout, "event-streamer", rt.Version), nil
	}
	publisher, err := requirePubSub(ctx, rt, cfg)
	if err != nil {
		return nil, err
	}
	breaker := func(topic string) *resilience.Breaker {
		b := resilience.NewBreaker(topic, resilience.BreakerConfig{
			// The client has retried for long before it reports a failure, and a
			// missing topic comes at once: one is enough.
			Failures: 1, OpenFor: messaging.OutageRetryDelay,
		}, rt.Registry, rt.Log)
		// A process that has lost its Lease has nothing more to send.
		b.ProbeInSilence(ctx, func(ctx context.Context) error { return publisher.Check(ctx, topic) })
		return b
	}
	return publish.New(publisher, breaker(topology.TopicJobEvents), breaker(topology.TopicJobPhases), rt.Log), nil
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

package messaging_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// A service that stores job events: what the store cannot do at the moment
// waits for the store, and what is wrong with a message is said with Permanent.
func ExampleNewSubscriber() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log, reg := zerolog.New(os.Stderr), prometheus.NewRegistry()

	client, err := messaging.NewClient(ctx, os.Getenv("GOOGLE_CLOUD_PROJECT"))
	if err != nil {
		fmt.Println("no Pub/Sub:", err)
		return
	}
	defer func() { _ = client.Close() }()
	publisher := messaging.NewPublisher(client, messaging.PublisherConfig{}, reg, log)
	firestore := resilience.NewBreaker("firestore", resilience.BreakerConfig{}, reg, log)

	handle := func(ctx context.Context, e *resiliencyv1.JobEvent, _ messaging.Meta) error {
		if e.GetJobId() == "" {
			return resilience.Permanent(fmt.Errorf("event %s names no job", e.GetEventId()))
		}
		return firestore.Do(ctx, func(context.Context) error { return nil /* store it */ })
	}
	subscriber := messaging.NewSubscriber(client, publisher, messaging.Config{
		Subscription: topology.SubscriptionJobEventsStatusUpdater,
		Gate:         firestore,
	}, handle, reg, log)
	if err := subscriber.Run(ctx); err != nil {
		fmt.Println("receive:", err)
	}
}

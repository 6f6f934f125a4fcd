package app

import (
	"context"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
)

// drawer holds one letter, as far as an automatic replay sees it.
type drawer struct {
	replay.Letters

	mu     sync.Mutex
	letter letters.Letter
	sent   chan struct{}
}

func (d *drawer) Get(context.Context, string) (letters.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.letter, nil
}

func (d *drawer) List(_ context.Context, f letters.Filter, _ *letters.Cursor, _ int) (letters.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Dependency != d.letter.Dependency || (f.State != "" && f.State != d.letter.State) {
		return letters.Page{}, nil
	}
	return letters.Page{Letters: []letters.Letter{d.letter}}, nil
}

func (d *drawer) Claim(_ context.Context, _ string, by letters.Claim, _ string) (letters.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letter.State, d.letter.Claim = letters.StateReplaying, by
	return d.letter, nil
}

func (d *drawer) Confirm(context.Context, *letters.Letter) (letters.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letter.State = letters.StateReplayed
	close(d.sent)
	return d.letter, nil
}

// A topic that is missing stops no letters of another one, though all that this
// process last heard from Pub/Sub is that it is missing.
func TestHealth_AMissingTopicStopsNoOther(t *testing.T) {
	t.Parallel()
	broker := messagingtest.New(t)
	publisher := messaging.NewPublisher(broker.Client, messaging.PublisherConfig{}, prometheus.NewRegistry(), zerolog.Nop())
	t.Cleanup(func() { _ = publisher.Close(context.WithoutCancel(t.Context())) })
	request := &pubsubpb.DeleteTopicRequest{Topic: topology.TopicName(broker.ProjectID, topology.TopicJobPhases)}
	if err := broker.Client.TopicAdminClient.DeleteTopic(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := publisher.PublishRaw(t.Context(), topology.TopicJobPhases, []byte("x"), nil); !messaging.Missing(err) {
		t.Fatalf("publish to the missing topic: %v", err)
	}
	h := newHealth(dependencies(func(context.Context) error { return nil }, publisher.Ready), time.Now)
	h.look(t.Context())
	if _, ok := h.HealthySince("pubsub"); ok {
		t.Error("letters that died of Pub/Sub would be sent into a topic's absence")
	}

	store := &drawer{sent: make(chan struct{}), letter: letters.Letter{
		ID: "l-1", State: letters.StateOpen, Category: resilience.CategoryDependency, Dependency: "firestore",
		Subscription: topology.SubscriptionJobEventsStatusUpdater, Topic: topology.TopicJobEvents, Payload: []byte("x"), PayloadSize: 1,
	}}
	engine := replay.New(replay.Parts{
		Letters: store, Publisher: publisher, Metrics: replay.NewMetrics(prometheus.NewRegistry()), Now: time.Now, Log: zerolog.Nop(),
	})
	auto := replay.NewAuto(engine, h, replay.AutoConfig{Dependencies: []string{"firestore"}, After: time.Nanosecond, Every: time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- auto.Run(ctx) }()
	select {
	case <-store.sent:
	case <-time.After(20 * time.Second):
		t.Error("the letter waits for a topic that is not its own")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

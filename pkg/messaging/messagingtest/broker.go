// Package messagingtest gives tests a Pub/Sub in memory. Only _test.go files
// import it. It has no retry backoff and adds no dead-letter attributes: what
// needs those is tested against Google's emulator.
package messagingtest

import (
	"context"
	"sync"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// Broker is one fake server with a client of it; both end with the test.
type Broker struct {
	// Server is the fake; tests count and inject with it.
	Server *pstest.Server
	// Client talks to Server.
	Client *pubsub.Client
	// ProjectID is the project that Client works in.
	ProjectID string
	// Stop ends the server before the test ends. (Server.Close panics when it
	// is called twice.)
	Stop func()
}

// NewBare starts a server that has no topics yet.
func NewBare(t testing.TB, opts ...pstest.ServerReactorOption) *Broker {
	t.Helper()
	server := pstest.NewServer(opts...)
	stop := sync.OnceFunc(func() { _ = server.Close() })
	t.Cleanup(stop)
	const projectID = "test-project"
	client, err := pubsub.NewClient(t.Context(), projectID,
		option.WithEndpoint(server.Addr),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatalf("connect to the fake Pub/Sub: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &Broker{Server: server, Client: client, ProjectID: projectID, Stop: stop}
}

// New starts a server with all topics and subscriptions of the table.
func New(t testing.TB, opts ...pstest.ServerReactorOption) *Broker {
	t.Helper()
	b := NewBare(t, opts...)
	b.Provision(t)
	return b
}

// Provision creates the topics and subscriptions of the table.
func (b *Broker) Provision(t testing.TB) {
	t.Helper()
	if err := topology.Provision(t.Context(), b.Client, b.ProjectID, topology.Local); err != nil {
		t.Fatalf("provision the fake Pub/Sub: %v", err)
	}
}

// Put publishes as a foreign publisher would, without any of our checks, and
// returns the message id.
func (b *Broker) Put(t testing.TB, topic string, data []byte, attributes map[string]string) string {
	t.Helper()
	res, err := b.Client.TopicAdminClient.Publish(t.Context(), &pubsubpb.PublishRequest{
		Topic:    topology.TopicName(b.ProjectID, topic),
		Messages: []*pubsubpb.PubsubMessage{{Data: data, Attributes: attributes}},
	})
	if err != nil {
		t.Fatalf("publish to %s: %v", topic, err)
	}
	return res.GetMessageIds()[0]
}

// Acks is how often the message was acked, over all subscriptions.
func (b *Broker) Acks(messageID string) int { return b.Server.Message(messageID).Acks }

// Deliveries is how often the message was delivered, over all subscriptions.
func (b *Broker) Deliveries(messageID string) int { return b.Server.Message(messageID).Deliveries }

// Nacks is how often the message was nacked, over all subscriptions.
func (b *Broker) Nacks(messageID string) int {
	n := 0
	for _, m := range b.Server.Message(messageID).Modacks {
		if m.AckDeadline == 0 {
			n++
		}
	}
	return n
}

// Next pulls one message of the subscription and acks it; it waits until there
// is one or ctx is done.
func (b *Broker) Next(ctx context.Context, t testing.TB, subscription string) *pubsubpb.PubsubMessage {
	t.Helper()
	name := topology.SubscriptionName(b.ProjectID, subscription)
	for {
		res, err := b.Client.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: name, MaxMessages: 1})
		if err != nil {
			t.Fatalf("pull from %s: %v", subscription, err)
		}
		for _, m := range res.GetReceivedMessages() {
			ack := &pubsubpb.AcknowledgeRequest{Subscription: name, AckIds: []string{m.GetAckId()}}
			if err := b.Client.SubscriptionAdminClient.Acknowledge(ctx, ack); err != nil {
				t.Fatalf("ack on %s: %v", subscription, err)
			}
			return m.GetMessage()
		}
	}
}

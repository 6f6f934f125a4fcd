//go:build integration

package stack_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The Pub/Sub emulator goes on delivering to a subscriber that vanished, and each
// such message waits for its deadline, unless somebody half-closes the stream:
// without the proxy a share of these messages would come after a minute. (What
// was in the subscriber's hands already waits on any Pub/Sub.)
func TestPubSub_delivers_nothing_to_a_vanished_subscriber(t *testing.T) {
	t.Parallel()
	const messages = 500
	project := newProject(t, "ghost")
	client, err := project.PubSub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	publisher := client.Publisher("job-events")
	defer publisher.Stop()
	publish := func(n int) {
		results := make([]*pubsub.PublishResult, n)
		for i := range results {
			results[i] = publisher.Publish(t.Context(), &pubsub.Message{Data: []byte("x")})
		}
		for _, result := range results {
			if _, err := result.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(1)
	vanish(t, "projects/"+project.ID+"/subscriptions/job-events-status-updater")
	publish(messages)

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	seen := map[string]bool{}
	err = client.Subscriber("job-events-status-updater").Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		if seen[m.ID] = true; len(seen) == messages {
			cancel()
		}
	})
	if err != nil || len(seen) != messages {
		t.Errorf("received %d of %d messages in %s: %v", len(seen), messages, time.Since(began), err)
	}
	t.Logf("all %d messages after %s", len(seen), time.Since(began).Round(time.Millisecond))
}

// vanish pulls until it has a message and then drops the connection, as a killed
// process does: nothing acked, nothing nacked.
func vanish(t *testing.T, subscription string) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+shared.PubSub.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := pubsubpb.NewSubscriberClient(conn).StreamingPull(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pubsubpb.StreamingPullRequest{Subscription: subscription, StreamAckDeadlineSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // it has the one message
		t.Fatal(err)
	}
}

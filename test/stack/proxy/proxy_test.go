package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/test/stack/proxy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// within bounds what must happen soon; it is generous, since it is waited out
// only by a failing test.
const within = 20 * time.Second

// startProxy serves a proxy before upstream and returns a client's connection
// to it.
func startProxy(t *testing.T, upstream string) (*proxy.Proxy, *grpc.ClientConn) {
	t.Helper()
	p, err := proxy.Start(listen(t), upstream, proxy.DrainFor(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, dial(t, p.Addr())
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// listenLow takes a port below the ephemeral range: no outgoing connection can
// take it while nobody listens.
func listenLow(t *testing.T) net.Listener {
	t.Helper()
	for range 100 {
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000))); err == nil {
			return listener
		}
	}
	t.Fatal("no free port between 10000 and 20000")
	return nil
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// serve runs a gRPC server until the test ends.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	listener := listen(t)
	server := grpc.NewServer()
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

func forProject(ctx context.Context, id string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-goog-request-params", "subscription=projects%2F"+id+"%2Fsubscriptions%2Fs-1")
}

// puller is a subscriber service that tells how its streams end.
type puller struct {
	pubsubpb.UnimplementedSubscriberServer
	opened chan struct{}
	// received is what Recv said at the end of the client's side.
	received chan error
	// ended is closed when the handler's context ends by itself.
	ended chan struct{}
	// hold keeps the handler running after the client's side ended.
	hold bool
}

func newPuller(hold bool) *puller {
	return &puller{
		opened: make(chan struct{}, 8), received: make(chan error, 8), ended: make(chan struct{}, 8), hold: hold,
	}
}

func (p *puller) StreamingPull(stream pubsubpb.Subscriber_StreamingPullServer) error {
	p.opened <- struct{}{}
	for {
		if _, err := stream.Recv(); err != nil {
			p.received <- err
			if p.hold {
				<-stream.Context().Done()
				p.ended <- struct{}{}
			}
			return nil
		}
		if err := stream.Send(&pubsubpb.StreamingPullResponse{
			ReceivedMessages: []*pubsubpb.ReceivedMessage{{AckId: "a"}, {AckId: "b"}},
		}); err != nil {
			return err
		}
	}
}

func openPull(ctx context.Context, t *testing.T, conn *grpc.ClientConn, project string) pubsubpb.Subscriber_StreamingPullClient {
	t.Helper()
	stream, err := pubsubpb.NewSubscriberClient(conn).StreamingPull(forProject(ctx, project))
	if err != nil {
		t.Fatal(err)
	}
	request := &pubsubpb.StreamingPullRequest{Subscription: "projects/" + project + "/subscriptions/s-1", StreamAckDeadlineSeconds: 20}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatalf("first answer: %v", err)
	}
	return stream
}

func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(within):
		t.Fatalf("no sign of: %s", what)
		panic("unreachable")
	}
}

func TestProxy_half_closes_upstream_when_the_client_vanishes(t *testing.T) {
	t.Parallel()
	service := newPuller(false)
	upstream := serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, service) })
	p, conn := startProxy(t, upstream)
	openPull(t.Context(), t, conn, "p-1")
	if got := p.Counts("p-1").Delivered["s-1"]; got != 2 {
		t.Errorf("delivered messages counted: %d, want 2", got)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	// io.EOF is the half-close; a cancelled stream would say Canceled.
	if err := await(t, service.received, "the end of the client's side"); !errors.Is(err, io.EOF) {
		t.Errorf("upstream saw %v, want io.EOF", err)
	}
}

func TestProxy_ends_an_upstream_call_that_outlives_its_client(t *testing.T) {
	t.Parallel()
	service := newPuller(true)
	upstream := serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, service) })
	_, conn := startProxy(t, upstream)
	ctx, cancel := context.WithCancel(t.Context())
	openPull(ctx, t, conn, "p-1")
	cancel()
	if err := await(t, service.received, "the end of the client's side"); !errors.Is(err, io.EOF) {
		t.Errorf("upstream saw %v, want io.EOF", err)
	}
	await(t, service.ended, "the end of the upstream call after the drain time")
}

func TestProxy_cuts_open_streams_of_one_project(t *testing.T) {
	t.Parallel()
	service := newPuller(false)
	upstream := serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, service) })
	p, conn := startProxy(t, upstream)
	cut, kept := openPull(t.Context(), t, conn, "p-cut"), openPull(t.Context(), t, conn, "p-kept")
	mend := p.Inject(proxy.Fault{Project: "p-cut", Cut: true})
	if _, err := cut.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("cut stream ended with %v, want Unavailable", err)
	}
	if err := await(t, service.received, "the half-close of the cut stream"); !errors.Is(err, io.EOF) {
		t.Errorf("upstream saw %v, want io.EOF", err)
	}
	again, err := pubsubpb.NewSubscriberClient(conn).StreamingPull(forProject(t.Context(), "p-cut"))
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Send(&pubsubpb.StreamingPullRequest{}) // its failure shows in Recv
	if _, err := again.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("new stream while cut ended with %v, want Unavailable", err)
	}
	if err := kept.Send(&pubsubpb.StreamingPullRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Recv(); err != nil {
		t.Errorf("stream of the other project ended: %v", err)
	}
	mend()
	openPull(t.Context(), t, conn, "p-cut")
}

func TestProxy_cuts_and_mends_connections(t *testing.T) {
	t.Parallel()
	service := newPuller(false)
	upstream := serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, service) })
	p, conn := startProxy(t, upstream)
	stream := openPull(t.Context(), t, conn, "p-1")
	p.CutConnections()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("stream ended with %v, want Unavailable", err)
	}
	client := pubsubpb.NewSubscriberClient(dial(t, p.Addr()))
	if _, err := client.Acknowledge(t.Context(), &pubsubpb.AcknowledgeRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("new connection gave %v, want Unavailable", err)
	}
	p.ClearFaults()
	openPull(t.Context(), t, dial(t, p.Addr()), "p-1")
}

func TestProxy_counts_messages(t *testing.T) {
	t.Parallel()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	p, conn := startProxy(t, server.Addr)
	ctx := t.Context()
	const topic, subscription = "projects/p-1/topics/t-1", "projects/p-1/subscriptions/s-1"
	publisher, subscriber := pubsubpb.NewPublisherClient(conn), pubsubpb.NewSubscriberClient(conn)
	if _, err := publisher.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	if _, err := subscriber.CreateSubscription(ctx, &pubsubpb.Subscription{Name: subscription, Topic: topic, AckDeadlineSeconds: 10}); err != nil {
		t.Fatal(err)
	}
	messages := []*pubsubpb.PubsubMessage{{Data: []byte("1")}, {Data: []byte("2")}, {Data: []byte("3")}}
	if _, err := publisher.Publish(ctx, &pubsubpb.PublishRequest{Topic: topic, Messages: messages}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for len(ids) < len(messages) {
		pulled, err := subscriber.Pull(ctx, &pubsubpb.PullRequest{Subscription: subscription, MaxMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pulled.GetReceivedMessages() {
			ids = append(ids, m.GetAckId())
		}
	}
	if _, err := subscriber.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: subscription, AckIds: ids[:2]}); err != nil {
		t.Fatal(err)
	}
	if _, err := subscriber.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: subscription, AckIds: ids[2:]}); err != nil {
		t.Fatal(err)
	}
	if _, err := subscriber.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: subscription, AckIds: ids[:1], AckDeadlineSeconds: 20}); err != nil {
		t.Fatal(err)
	}
	got := p.Counts("p-1")
	for what, pair := range map[string][2]int64{
		"published": {got.Published["t-1"], 3}, "delivered": {got.Delivered["s-1"], 3},
		"acked": {got.Acked["s-1"], 2}, "nacked": {got.Nacked["s-1"], 1},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", what, pair[0], pair[1])
		}
	}
}

func TestProxy_passes_errors_and_metadata(t *testing.T) {
	t.Parallel()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	_, conn := startProxy(t, server.Addr)
	_, err := pubsubpb.NewPublisherClient(conn).GetTopic(t.Context(), &pubsubpb.GetTopicRequest{Topic: "projects/p-1/topics/none"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("a missing topic gives %v, want NotFound", err)
	}
}

func TestProxy_finds_an_emulator_again_after_its_restart(t *testing.T) {
	t.Parallel()
	listener := listenLow(t)
	addr := listener.Addr().String()
	start := func(l net.Listener) *grpc.Server {
		server := grpc.NewServer()
		firestorepb.RegisterFirestoreServer(server, &documents{commits: make(chan struct{}, 64)})
		go func() { _ = server.Serve(l) }()
		return server
	}
	first := start(listener)
	_, conn := startProxy(t, addr)
	client := firestorepb.NewFirestoreClient(conn)
	if _, err := client.Commit(t.Context(), commit("/jobs/j")); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	if _, err := client.Commit(t.Context(), commit("/jobs/j")); status.Code(err) != codes.Unavailable {
		t.Errorf("without emulator: %v, want Unavailable", err)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(start(again).Stop)
	for deadline := time.Now().Add(within); ; {
		if _, err = client.Commit(t.Context(), commit("/jobs/j")); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("emulator is back but not found: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

package messaging_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
)

// switchGate is broken as long as the test says so; Wait gives turns.
type switchGate struct {
	broken, awaited atomic.Bool
	turns           chan struct{}
}

func (g *switchGate) Broken() bool  { return g.broken.Load() }
func (g *switchGate) Awaited() bool { return g.awaited.Load() }

func (g *switchGate) Wait(ctx context.Context) error {
	select {
	case g.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// paused is a reader whose client is paused by a gate.
type paused struct {
	*messagingtest.Broker
	gate *switchGate
	// opened counts streams, open those that are open now.
	opened, open atomic.Int64
	got          chan string
	// stop ends the process, ended what Receive returned.
	stop  context.CancelFunc
	ended chan error
}

func newPaused(t *testing.T) *paused {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &paused{
		Broker: messagingtest.New(t), gate: &switchGate{turns: make(chan struct{})},
		got: make(chan string, 10), stop: stop, ended: make(chan error, 1),
	}
	client, err := messaging.NewClient(ctx, p.ProjectID,
		option.WithEndpoint(p.Server.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		messaging.PausedBy(ctx, p.gate), option.WithGRPCDialOption(grpc.WithChainStreamInterceptor(p.count)))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		p.ended <- client.Subscriber(topology.SubscriptionJobEventsStatusUpdater).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			p.got <- m.ID
			m.Ack()
		})
	}()
	t.Cleanup(func() {
		stop()
		_ = receive(t, p.ended, "the end of Receive") // canceled, or nothing
		_ = client.Close()
	})
	return p
}

// count stands between the pause and the server.
func (p *paused) count(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	p.opened.Add(1)
	p.open.Add(1)
	context.AfterFunc(ctx, func() { p.open.Add(-1) })
	return open(ctx, desc, conn, method, opts...)
}

// expect puts a message and waits until it is received.
func (p *paused) expect(t *testing.T, id string) {
	t.Helper()
	if got := receive(t, p.got, "message "+id); got != id {
		t.Errorf("received %s, want %s", got, id)
	}
}

func (p *paused) put(t *testing.T) string {
	t.Helper()
	return p.Put(t, topology.TopicJobEvents, []byte("x"), nil)
}

// TestPausedBy_NothingIsPulledWhileBroken: what is published meanwhile stays at
// the server, and costs no attempt.
func TestPausedBy_NothingIsPulledWhileBroken(t *testing.T) {
	t.Parallel()
	p := newPaused(t)
	p.expect(t, p.put(t))
	p.gate.awaited.Store(true)
	p.gate.broken.Store(true)
	eventually(t, "the stream to be closed", func() bool { return p.open.Load() == 0 })
	id := p.put(t)
	select {
	case <-p.got:
		t.Error("a message came through a closed stream")
	case <-time.After(3 * time.Second): // longer than the client takes to open another stream
	}
	if n := p.opened.Load(); n != 1 {
		t.Errorf("%d streams were opened while paused", n-1)
	}
	if n := p.Deliveries(id); n != 0 {
		t.Errorf("delivered %d times while paused", n)
	}
	p.gate.broken.Store(false)
	p.expect(t, id)
	if n := p.Deliveries(id); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

// TestPausedBy_SomebodyHasToTry: with nothing in hand nobody would find out that
// the dependency is back, so a stream is opened when its turn comes.
func TestPausedBy_SomebodyHasToTry(t *testing.T) {
	t.Parallel()
	p := newPaused(t)
	p.expect(t, p.put(t))
	p.gate.broken.Store(true)
	eventually(t, "the stream to be closed", func() bool { return p.open.Load() == 0 })
	id := p.put(t)
	receive(t, p.gate.turns, "the stream to ask for a turn")
	p.expect(t, id)
}

// TestPausedBy_AMomentsFault closes nothing.
func TestPausedBy_AMomentsFault(t *testing.T) {
	t.Parallel()
	p := newPaused(t)
	p.expect(t, p.put(t))
	p.gate.awaited.Store(true)
	for range 4 {
		p.gate.broken.Store(true)
		<-time.After(400 * time.Millisecond)
		p.gate.broken.Store(false)
		<-time.After(300 * time.Millisecond)
	}
	p.expect(t, p.put(t))
	if n := p.opened.Load(); n != 1 {
		t.Errorf("%d streams were opened, want the first to last", n)
	}
}

// TestPausedBy_HoldsUpNoShutdown: the process ends while a stream waits to be opened.
func TestPausedBy_HoldsUpNoShutdown(t *testing.T) {
	t.Parallel()
	for _, awaited := range []bool{true, false} {
		p := newPaused(t)
		p.expect(t, p.put(t))
		p.gate.awaited.Store(awaited)
		p.gate.broken.Store(true)
		eventually(t, "the stream to be closed", func() bool { return p.open.Load() == 0 })
		p.stop()
		p.ended <- receive(t, p.ended, "the end of Receive")
	}
}

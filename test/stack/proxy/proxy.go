package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	grpcproxy "github.com/siderolabs/grpc-proxy/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxMessage is above any that the emulators send or take.
	maxMessage = 64 << 20
	// window keeps HTTP/2 flow control from slowing a loopback down.
	window = 4 << 20
	// drainTime is long enough for a half-closed stream to end by itself and for
	// a commit in flight to happen, as it would in a real network.
	drainTime = 10 * time.Second
)

// Proxy forwards to one emulator. Use Start.
type Proxy struct {
	addr     string
	upstream *grpc.ClientConn
	server   *grpc.Server
	conns    *connections
	faults   *faults
	counts   *counter
	drain    time.Duration

	ctx    context.Context // ends with Close; parent of every upstream call
	cancel context.CancelFunc
	calls  sync.WaitGroup // handlers, those that drain included
	served chan struct{}
}

// Option changes how a proxy works.
type Option func(*Proxy)

// DrainFor sets how long an upstream call may go on after its client vanished;
// 10 s without this option.
func DrainFor(d time.Duration) Option { return func(p *Proxy) { p.drain = d } }

// Start serves on the listener, which it takes over, and forwards to the
// emulator at upstream (host:port). The emulator may come and go.
func Start(listener net.Listener, upstream string, options ...Option) (*Proxy, error) {
	conn, err := grpc.NewClient("passthrough:///"+upstream,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(grpcproxy.Codec()),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage),
		),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithIdleTimeout(0),
		// An emulator that was restarted is found again within half a second.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("connect the proxy to %s: %w", upstream, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		addr: listener.Addr().String(), upstream: conn, conns: track(listener),
		faults: newFaults(), counts: newCounter(), drain: drainTime,
		ctx: ctx, cancel: cancel, served: make(chan struct{}),
	}
	for _, option := range options {
		option(p)
	}
	p.server = p.newServer()
	go func() {
		defer close(p.served)
		_ = p.server.Serve(p.conns) // returns when Close stops the server
	}()
	return p, nil
}

func (p *Proxy) newServer() *grpc.Server {
	return grpc.NewServer(
		grpc.ForceServerCodecV2(grpcproxy.Codec()),
		grpc.UnknownServiceHandler(grpcproxy.TransparentHandler(p.direct)),
		grpc.StreamInterceptor(p.serve),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window),
		// Google's clients ping more often than gRPC allows by default.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		// Notices a client that vanished without closing its connection.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	)
}

// Addr is where clients connect to, host:port.
func (p *Proxy) Addr() string { return p.addr }

// Close ends every call and waits for it.
func (p *Proxy) Close() {
	p.cancel()
	p.server.Stop()
	<-p.served
	p.calls.Wait()
	_ = p.upstream.Close() // nothing is in flight any more
}

// CutConnections closes every client's connection and refuses new ones, as if
// the machine behind were gone, until Mend.
func (p *Proxy) CutConnections() { p.conns.cut() }

// Mend ends CutConnections.
func (p *Proxy) Mend() { p.conns.mend() }

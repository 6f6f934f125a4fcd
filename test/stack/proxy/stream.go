package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	grpcproxy "github.com/siderolabs/grpc-proxy/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stream is a client's call as the forwarding library sees it. It shows every
// frame to the tally, and turns a client that vanished into one that is done
// sending, which makes the library half-close the upstream stream.
type stream struct {
	grpc.ServerStream
	ctx   context.Context // the upstream call's; outlives the client's
	tally *tally

	first   any // the frame that was read to know the call; nil once forwarded
	mu      sync.Mutex
	gone    bool // the client vanished or was cut: nothing is sent to it any more
	abandon func()
}

type streamKey struct{}

// serve is the interceptor around every forwarded call.
func (p *Proxy) serve(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	first := grpcproxy.NewFrame(nil)
	err := ss.RecvMsg(first)
	if errors.Is(err, io.EOF) {
		first = nil // a client that sends nothing; the upstream shall answer that
	} else if err != nil {
		return err
	}
	c := newCall(ss.Context(), info.FullMethod, first)
	fault := p.faults.enter(c)
	if err := fault.apply(ss.Context(), c); err != nil {
		p.faults.leave(c)
		p.counts.refused(c, status.Code(err))
		return err
	}
	return p.forward(srv, ss, c, first, next)
}

// forward runs the library's handler. After a cut it returns at once and leaves
// the handler to drain the upstream stream.
func (p *Proxy) forward(srv any, ss grpc.ServerStream, c *call, first any, next grpc.StreamHandler) error {
	s, cancel := p.newStream(ss, c, first)
	unwatch := context.AfterFunc(ss.Context(), s.vanish)
	ended := make(chan error, 1)
	p.calls.Go(func() {
		defer cancel()
		err := next(srv, s)
		unwatch()
		s.tally.end(status.Code(err))
		p.faults.leave(c)
		ended <- err
	})
	select {
	case err := <-ended:
		return err
	case <-c.cut:
		s.vanish()
		return errCut
	}
}

func (p *Proxy) newStream(ss grpc.ServerStream, c *call, first any) (*stream, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ss.Context()))
	stop := context.AfterFunc(p.ctx, cancel)
	s := &stream{ServerStream: ss, tally: p.counts.begin(c), first: first}
	s.ctx = context.WithValue(ctx, streamKey{}, s)
	var drain *time.Timer
	s.abandon = func() { drain = time.AfterFunc(p.drain, cancel) }
	if first != nil {
		s.tally.request(c.first)
	}
	return s, func() {
		stop()
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		if drain != nil {
			drain.Stop()
		}
	}
}

// direct tells the library where a call goes: to the emulator, under a context
// that does not end with the client.
func (p *Proxy) direct(context.Context, string) (grpcproxy.Mode, []grpcproxy.Backend, error) {
	return grpcproxy.One2One, []grpcproxy.Backend{&grpcproxy.SingleBackend{GetConn: p.outgoing}}, nil
}

func (p *Proxy) outgoing(ctx context.Context) (context.Context, *grpc.ClientConn, error) {
	s, ok := ctx.Value(streamKey{}).(*stream)
	if !ok {
		return nil, nil, status.Error(codes.Internal, "call did not come through the proxy's interceptor")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return metadata.NewOutgoingContext(s.ctx, md.Copy()), p.upstream, nil
}

// Context is the upstream call's: the library derives its own from it.
func (s *stream) Context() context.Context { return s.ctx }

// vanish notes that nobody listens any more; the upstream call may go on for
// the drain time.
func (s *stream) vanish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gone {
		s.gone = true
		s.abandon()
	}
}

func (s *stream) vanished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// RecvMsg gives the client's next frame; io.EOF also when it vanished.
func (s *stream) RecvMsg(m any) error {
	if s.first != nil {
		first := s.first
		s.first = nil
		return copyFrame(m, first)
	}
	if err := s.ServerStream.RecvMsg(m); errors.Is(err, io.EOF) {
		return io.EOF
	} else if err != nil {
		s.vanish()
		return io.EOF
	}
	return withBytes(m, s.tally.request)
}

// SendMsg gives a frame to the client. What comes for one that vanished is
// dropped, so that the library reads on until the upstream ends the stream.
func (s *stream) SendMsg(m any) error {
	if s.vanished() {
		return nil
	}
	if err := s.ServerStream.SendMsg(m); err != nil {
		s.vanish()
		return nil //nolint:nilerr // dropped on purpose, see above
	}
	return withBytes(m, s.tally.response)
}

// SendHeader, SetHeader and SetTrailer have nobody to reach once the client is gone.
func (s *stream) SendHeader(md metadata.MD) error {
	if s.vanished() {
		return nil
	}
	if err := s.ServerStream.SendHeader(md); err != nil {
		s.vanish()
	}
	return nil
}

// SetTrailer is dropped for a client that vanished.
func (s *stream) SetTrailer(md metadata.MD) {
	if !s.vanished() {
		s.ServerStream.SetTrailer(md)
	}
}

// withBytes shows a frame's bytes, which are only valid inside the call.
func withBytes(frame any, show func([]byte)) error {
	data, err := grpcproxy.Codec().Marshal(frame)
	if err != nil {
		return status.Errorf(codes.Internal, "read frame: %v", err)
	}
	defer data.Free()
	if len(data) == 1 {
		show(data[0].ReadOnlyData())
		return nil
	}
	show(data.Materialize())
	return nil
}

func copyFrame(to, from any) error {
	return withBytes(from, func(b []byte) {
		// A frame takes any bytes: this cannot fail.
		_ = grpcproxy.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, to)
	})
}

package messaging

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// methodStreamingPull is the only call that brings messages here.
	methodStreamingPull = "/google.pubsub.v1.Subscriber/StreamingPull"
	// pauseAfter is how long a gate has to be broken before streams are closed: a
	// moment's fault is not worth a second delivery of what is on its way.
	pauseAfter = time.Second
	// pausePoll is how often the gate is looked at.
	pausePoll = 200 * time.Millisecond
)

// PausedBy makes a client close its streams when the gate has been broken for a
// second, and open new ones only once it is not, or when nobody else is there to
// find out. Leases and acks of what is in hand go on. Without it, messages go on
// to arrive in the buffers of a stream that nobody reads: their leases run out
// there, so that an outage costs them attempts, and Pub/Sub's emulator, which
// knows no limit of outstanding messages, never delivers some of them again.
//
// ctx ends with the process, so that a stream that waits to be opened holds up no
// shutdown.
func PausedBy(ctx context.Context, gate Gate) option.ClientOption {
	intercept := func(
		sctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		if method != methodStreamingPull {
			return open(sctx, desc, conn, method, opts...)
		}
		if err := awaitGate(ctx, sctx, gate); err != nil {
			return nil, err
		}
		sctx, cancel := context.WithCancel(sctx)
		stream, err := open(sctx, desc, conn, method, opts...)
		if err != nil {
			cancel()
			return nil, err
		}
		s := &pausedStream{ClientStream: stream}
		go s.closeWhenBroken(sctx, cancel, gate)
		return s, nil
	}
	return option.WithGRPCDialOption(grpc.WithChainStreamInterceptor(intercept))
}

// awaitGate returns when a stream may be opened. Somebody has to try whether the
// dependency is back: whoever has a message in hand, else this stream's first.
func awaitGate(process, stream context.Context, gate Gate) error {
	ctx, cancel := context.WithCancel(stream)
	defer cancel()
	defer context.AfterFunc(process, cancel)()
	for gate.Broken() {
		if !gate.Awaited() {
			if err := gate.Wait(ctx); err != nil {
				return status.FromContextError(fmt.Errorf("open a stream: %w", ctx.Err())).Err()
			}
			return nil
		}
		if !sleep(ctx, pausePoll) {
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return nil
}

// pausedStream tells its reader, when it was closed by us, to open another.
type pausedStream struct {
	grpc.ClientStream

	closed atomic.Bool
}

// closeWhenBroken ends when the stream does.
func (s *pausedStream) closeWhenBroken(ctx context.Context, cancel context.CancelFunc, gate Gate) {
	defer cancel()
	for broken := time.Duration(0); broken < pauseAfter; {
		if !sleep(ctx, pausePoll) {
			return
		}
		if broken += pausePoll; !gate.Broken() {
			broken = 0
		}
	}
	s.closed.Store(true)
}

// RecvMsg gives the next message of the stream.
func (s *pausedStream) RecvMsg(m any) error { return s.told(s.ClientStream.RecvMsg(m)) }

// SendMsg sends on the stream.
func (s *pausedStream) SendMsg(m any) error { return s.told(s.ClientStream.SendMsg(m)) }

// told turns the error of a stream that we closed into one that Pub/Sub's client
// answers with a new stream.
func (s *pausedStream) told(err error) error {
	if err != nil && s.closed.Load() {
		return status.Error(codes.Unavailable, "the stream was closed while a dependency is down")
	}
	return err
}

package jobs

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
)

// confirmer publishes a message and waits. *messaging.Publisher is one.
type confirmer interface {
	Publish(ctx context.Context, msg proto.Message) error
	Close(ctx context.Context) error
}

// publisher publishes messages in the background.
type publisher interface {
	// Start returns at once, with the message on its way.
	Start(ctx context.Context, msg proto.Message) result
	Close(ctx context.Context) error
}

// result is a message on its way: Err is its outcome once Done is closed.
type result interface {
	Done() <-chan struct{}
	Err() error
}

// background is a publisher over Pub/Sub.
type background struct{ *messaging.Publisher }

func (b background) Start(ctx context.Context, msg proto.Message) result {
	return b.PublishAsync(ctx, msg)
}

// sender takes events from product code and gives them to Pub/Sub and to the
// log, each in its own time: a log that cannot be written to holds up no
// message, and an outage of Pub/Sub no line, when the line is all that is left.
type sender struct {
	publisher publisher
	printer   *printer
	messages  *lane
	lines     *lane
	// slots bounds the messages that Pub/Sub has not confirmed.
	slots  chan struct{}
	flying sync.WaitGroup
	// quit is closed when Close gives up.
	quit chan struct{}

	mu     sync.Mutex
	closed bool
}

func newSender(p publisher, cfg Config) *sender {
	s := &sender{
		publisher: p, printer: &printer{out: cfg.Output},
		slots: make(chan struct{}, cfg.Buffer), quit: make(chan struct{}),
	}
	m := newMetrics(cfg.Registerer)
	s.messages = newLane("pubsub", cfg, m, s.publish)
	s.lines = newLane("log", cfg, m, s.printLine)
	go s.messages.run()
	go s.lines.run()
	return s
}

// send hands an event over. It never blocks.
func (s *sender) send(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.messages.drop(e, "the client is closed")
		return
	}
	s.lines.offer(e)
	s.messages.offer(e)
}

// print hands over an event that Pub/Sub has already.
func (s *sender) print(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.lines.offer(e)
	}
}

func (s *sender) printLine(e event) {
	if err := s.printer.print(e); err != nil {
		s.lines.drop(e, err.Error())
		return
	}
	s.lines.sent.Inc()
}

// publish gives an event to Pub/Sub as soon as few enough are on their way. Its
// outcome comes later.
func (s *sender) publish(e event) {
	select {
	case s.slots <- struct{}{}:
	case <-s.quit:
		s.messages.drop(e, "there was no time left to send it")
		return
	}
	sent := s.publisher.Start(messaging.WithTrace(context.Background(), e.span), e.msg)
	s.flying.Go(func() {
		<-sent.Done()
		<-s.slots
		if err := sent.Err(); err != nil {
			s.messages.drop(e, err.Error())
			return
		}
		s.messages.sent.Inc()
	})
}

// close flushes until ctx ends.
func (s *sender) close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.lines.queue)
	close(s.messages.queue)
	s.mu.Unlock()
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		<-s.lines.done
		<-s.messages.done
		s.flying.Wait()
	}()
	select {
	case <-flushed:
		return s.publisher.Close(ctx) //nolint:wrapcheck // Close says what for
	case <-ctx.Done():
		left := len(s.messages.queue) + len(s.slots)
		close(s.quit)
		_ = s.publisher.Close(ctx) // ctx is over: it only takes no more
		return fmt.Errorf("flush: %d events are left: %w", left, ctx.Err())
	}
}

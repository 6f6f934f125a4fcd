package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/relay"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
)

const (
	// brokerTimeout bounds a question to Pub/Sub: it is not needed.
	brokerTimeout = 5 * time.Second
	// publishTimeout is for how long a message is tried.
	publishTimeout = 10 * time.Second
	// sweepAge is how old an outbox entry must be to be swept up: younger ones are
	// most likely on their way.
	sweepAge = 5 * time.Second
	// sweepNever keeps the relay from sweeping beside the run, since the run's end
	// does: a sweep that is cut off has sent what it has not yet deleted.
	sweepNever = -1
	// drain is how long the relay goes on with what the run has committed.
	drain = 10 * time.Second
)

// broker is Pub/Sub, connected to when it is first needed: a run works without,
// and what it has to say waits in the outbox.
type broker struct {
	project string
	reg     prometheus.Registerer
	log     zerolog.Logger

	mu        sync.Mutex
	publisher *messaging.Publisher
	closers   []func() error
}

func (b *broker) connect(ctx context.Context) (*messaging.Publisher, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publisher != nil {
		return b.publisher, nil
	}
	client, err := messaging.NewClient(context.WithoutCancel(ctx), b.project)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what was attempted
	}
	b.publisher = messaging.NewPublisher(client, messaging.PublisherConfig{Timeout: publishTimeout}, b.reg, b.log)
	publisher := b.publisher
	b.closers = append(b.closers, client.Close, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerTimeout)
		defer cancel()
		return publisher.Close(ctx)
	})
	return b.publisher, nil
}

// answers is nil if Pub/Sub can be reached and has the topics.
func (b *broker) answers(ctx context.Context) error {
	publisher, err := b.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	for _, topic := range []string{topology.TopicJobUpdates, topology.TopicJobCommands, topology.TopicJobPhases} {
		if err := publisher.Check(ctx, topic); err != nil {
			return err //nolint:wrapcheck // it names the topic
		}
	}
	return nil
}

// PublishRaw implements relay.Publisher.
func (b *broker) PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error {
	publisher, err := b.connect(ctx)
	if err != nil {
		return err
	}
	return publisher.PublishRaw(ctx, topic, data, attributes) //nolint:wrapcheck // it names the topic
}

func (b *broker) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	b.closers = nil
	return errors.Join(errs...)
}

// outbox sends what the run commits while Pub/Sub answers, and at the end what
// waits there, whoever left it.
type outbox struct {
	relay   *relay.Relay
	broker  *broker
	sending bool
	stop    context.CancelFunc
	done    chan struct{}
}

func newOutbox(records *jobstore.Store, b *broker, reg prometheus.Registerer, log zerolog.Logger) *outbox {
	cfg := relay.Config{SweepEvery: sweepNever, MinAge: sweepAge, Drain: drain}
	return &outbox{relay: relay.New(records, b, cfg, reg, log), broker: b}
}

// start begins to send. It is not to be called while Pub/Sub does not answer:
// every message would wait for its timeout.
func (o *outbox) start(ctx context.Context) {
	ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))
	o.sending, o.done = true, make(chan struct{})
	go func() {
		defer close(o.done)
		_ = o.relay.Run(ctx) // it has no error
	}()
}

// Offer implements run.Outbox.
func (o *outbox) Offer(entries []jobstore.Entry) {
	if o.sending {
		o.relay.Offer(entries)
	}
}

// finish sends what is left, if Pub/Sub answers by now. It returns how many
// waiting messages went out beside those that were sent at once.
func (o *outbox) finish(ctx context.Context) (int, error) {
	o.halt()
	if err := o.broker.answers(ctx); err != nil {
		return 0, fmt.Errorf("what is to be sent waits in the outbox: %w", err)
	}
	swept, err := o.relay.Sweep(ctx)
	return swept.Published, err //nolint:wrapcheck // it says what it is
}

// halt waits for what is on its way.
func (o *outbox) halt() {
	if o.stop != nil {
		o.stop()
		<-o.done
		o.stop = nil
	}
}

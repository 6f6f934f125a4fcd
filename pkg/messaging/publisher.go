package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// OutageRetryDelay is how long to wait before Pub/Sub is tried again after it
// answered that a topic or subscription is missing, which happens while it is
// being provisioned anew.
const OutageRetryDelay = 5 * time.Second

// PublisherConfig tunes a Publisher. Zero values take the defaults.
type PublisherConfig struct {
	// Timeout is for how long a message is tried while Pub/Sub does not take
	// it; 30 s by default.
	Timeout time.Duration
	// BatchDelay is how long a message waits for company; 1 ms by default.
	BatchDelay time.Duration
	// MaxOutstanding is how many messages per topic may be unconfirmed; further
	// calls block. 1,000 by default.
	MaxOutstanding int
	// ProbeAfter is how long after an outage nothing must have been published
	// before Ready asks by itself; 1 minute by default.
	ProbeAfter time.Duration
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.BatchDelay <= 0 {
		c.BatchDelay = time.Millisecond
	}
	if c.MaxOutstanding <= 0 {
		c.MaxOutstanding = 1000
	}
	if c.ProbeAfter <= 0 {
		c.ProbeAfter = time.Minute
	}
	return c
}

// Publisher publishes to every topic of a project. It is safe for use by many
// goroutines.
type Publisher struct {
	client  *pubsub.Client
	cfg     PublisherConfig
	metrics *publisherMetrics
	log     zerolog.Logger

	mu     sync.Mutex
	topics map[string]*pubsub.Publisher
	closed bool

	waiting sync.WaitGroup // one for each unconfirmed message
	pending atomic.Int64   // the same as a number
	broken  atomic.Pointer[fault]
}

// NewPublisher returns a Publisher over client, which it does not own.
func NewPublisher(client *pubsub.Client, cfg PublisherConfig, reg prometheus.Registerer, log zerolog.Logger) *Publisher {
	return &Publisher{
		client:  client,
		cfg:     cfg.withDefaults(),
		metrics: newPublisherMetrics(reg),
		log:     log,
		topics:  map[string]*pubsub.Publisher{},
	}
}

// Result is a message on its way.
type Result struct {
	done chan struct{}
	err  error
}

// Done is closed when Pub/Sub has answered.
func (r *Result) Done() <-chan struct{} { return r.done }

// Err is the outcome, to be read after Done: nil when Pub/Sub has the message,
// a permanent error when it refuses it for good, else one that a retry may mend.
func (r *Result) Err() error { return r.err }

// Get waits for the outcome. When ctx ends first the message may still go out.
func (r *Result) Get(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("wait for Pub/Sub's confirmation: %w", ctx.Err())
	}
}

// Publish sends msg to the topic of its type, with the trace context of ctx, and
// returns once Pub/Sub has confirmed it.
func (p *Publisher) Publish(ctx context.Context, msg proto.Message) error {
	return p.PublishAsync(ctx, msg).Get(ctx)
}

// PublishAsync sends msg to the topic of its type. It blocks, until ctx ends,
// only while too many messages are unconfirmed.
func (p *Publisher) PublishAsync(ctx context.Context, msg proto.Message) *Result {
	e, err := Encode(msg)
	if err != nil {
		topic, _ := topology.TopicOf(msg.ProtoReflect().Descriptor().FullName())
		return p.refused(topic, err)
	}
	AddTrace(ctx, e.Attributes)
	return p.PublishRawAsync(ctx, e.Topic, e.Data, e.Attributes)
}

// PublishRaw sends data as it is, for messages that were encoded before, and
// returns once Pub/Sub has confirmed it.
func (p *Publisher) PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error {
	return p.PublishRawAsync(ctx, topic, data, attributes).Get(ctx)
}

// PublishRawAsync is PublishRaw without the wait. Neither data nor attributes
// may be changed before Done.
func (p *Publisher) PublishRawAsync(ctx context.Context, topic string, data []byte, attributes map[string]string) *Result {
	if err := check(data, attributes); err != nil {
		return p.refused(topic, permanentf("publish to %s: %w", topic, err))
	}
	handle, err := p.topic(topic)
	if err != nil {
		return failed(err)
	}
	start := time.Now()
	r := &Result{done: make(chan struct{})}
	sent := handle.Publish(ctx, &pubsub.Message{Data: data, Attributes: attributes})
	// The message goes on without its caller; its own timeout ends it.
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer p.waiting.Done()
		defer p.pending.Add(-1)
		defer close(r.done)
		_, err := sent.Get(ctx)
		r.err = p.conclude(ctx, topic, data, attributes, err)
		p.metrics.seconds.WithLabelValues(p.metrics.label(topic)).Observe(time.Since(start).Seconds())
	}()
	return r
}

// topic finds or makes the handle of a topic and announces one message to Close.
func (p *Publisher) topic(id string) (*pubsub.Publisher, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("publish to %s: publisher is closed", id)
	}
	handle, ok := p.topics[id]
	if !ok {
		handle = p.client.Publisher(id)
		handle.PublishSettings.Timeout = p.cfg.Timeout
		handle.PublishSettings.DelayThreshold = p.cfg.BatchDelay
		handle.PublishSettings.FlowControlSettings = pubsub.FlowControlSettings{
			MaxOutstandingMessages: p.cfg.MaxOutstanding,
			LimitExceededBehavior:  pubsub.FlowControlBlock,
		}
		p.topics[id] = handle
	}
	p.waiting.Add(1)
	p.pending.Add(1)
	return handle, nil
}

// Close stops taking messages and waits, until ctx ends, for the unconfirmed ones.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	handles := p.topics
	p.topics = nil
	p.mu.Unlock()
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		for _, handle := range handles {
			handle.Stop()
		}
		p.waiting.Wait()
	}()
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close publisher: %d messages unconfirmed: %w", p.pending.Load(), ctx.Err())
	}
}

// Check asks Pub/Sub for the topics, for a check at start-up. A publisher that
// may not read a topic's settings passes: Pub/Sub answered.
func (p *Publisher) Check(ctx context.Context, topics ...string) error {
	var errs []error
	for _, id := range topics {
		name := topology.TopicName(p.client.Project(), id)
		_, err := p.client.TopicAdminClient.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name})
		errs = append(errs, exists("topic "+name, err))
	}
	return errors.Join(errs...)
}

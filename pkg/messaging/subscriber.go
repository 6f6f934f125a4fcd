package messaging

import (
	"context"
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
	"github.com/envision/resiliency/pkg/resilience"
)

const (
	// leaseStep is by how much a lease is extended at a time: a process that
	// dies gives its messages back within that.
	leaseStep = 20 * time.Second
	// leaseTotal bounds the extensions of one message: an outage that lasts
	// longer costs each message in hand an attempt.
	leaseTotal = 24 * time.Hour
	// lateGrace is what a handler gets to return after the budget is over.
	lateGrace = time.Second
	// flushGrace is what Pub/Sub gets to take the last acks and nacks.
	flushGrace = 3 * time.Second
)

// Gate holds messages back while a dependency that their handler needs is down.
// *resilience.Breaker is one.
type Gate interface {
	// Wait returns nil when a message may be handled, an error when ctx is done.
	Wait(ctx context.Context) error
	// Broken reports whether the dependency is taken to be down.
	Broken() bool
	// Awaited reports whether somebody is in Wait, and will so find out when the
	// dependency is back.
	Awaited() bool
}

// Config sets up a Subscriber. All but Subscription may be left at zero.
type Config struct {
	// Subscription is the ID of the subscription, one of package topology.
	Subscription string
	// MaxOutstanding is how many messages may be in hand, waiting ones
	// included: where the pull stops. 256 by default. Acks go out every 100 ms,
	// so no more than ten times as many are handled in a second.
	MaxOutstanding int
	// MaxOutstandingBytes is the same for their size; 64 MiB by default.
	MaxOutstandingBytes int
	// HandleTimeout bounds one call of the handler; 60 s by default.
	HandleTimeout time.Duration
	// ShutdownBudget is what work in hand gets to finish once Run's context
	// ends; then it is cut off and nacked. 15 s by default.
	ShutdownBudget time.Duration
	// RetryDelay is the wait after Pub/Sub refused the pull; OutageRetryDelay
	// by default.
	RetryDelay time.Duration
	// Gate, when set, makes messages wait in hand while it is broken. The client
	// should be made with PausedBy the same gate.
	Gate Gate
	// InHand is how often and how soon a message that met a dependency's fault
	// is tried again in hand while the gate is not broken; after that it is
	// nacked. By default three tries, 200 ms and 600 ms apart. Without a Gate
	// the first fault nacks, unless it names one (HeldBy).
	InHand resilience.Backoff
}

func (c Config) withDefaults() Config {
	if c.MaxOutstanding <= 0 {
		c.MaxOutstanding = 256
	}
	if c.MaxOutstandingBytes <= 0 {
		c.MaxOutstandingBytes = 64 << 20
	}
	if c.HandleTimeout <= 0 {
		c.HandleTimeout = time.Minute
	}
	if c.ShutdownBudget <= 0 {
		c.ShutdownBudget = 15 * time.Second
	}
	if c.RetryDelay <= 0 {
		c.RetryDelay = OutageRetryDelay
	}
	if c.InHand.Initial <= 0 {
		c.InHand.Initial = 200 * time.Millisecond
	}
	if c.InHand.Attempts <= 0 {
		c.InHand.Attempts = 3
	}
	return c
}

// Subscriber receives the messages of one subscription and applies the rule of
// the package to each.
type Subscriber struct {
	client      *pubsub.Client
	cfg         Config
	decode      decoder
	deadLetters deadLetters
	// readsLetters: on the dead letters themselves nothing is moved to the dead
	// letters, and every message is ours (see topology.Subscription).
	readsLetters bool
	metrics      *subscriberMetrics
	log          zerolog.Logger

	// maxAttempts is how often Pub/Sub delivers a message before it forwards it;
	// 0 while Check has not found that out.
	maxAttempts atomic.Int32
	// seats are taken by the messages that wait at a gate of their own (HeldBy).
	seats chan struct{}

	mu        sync.Mutex
	pulling   time.Time // since when; zero while not
	lastError error     // why the last pull ended; nil once it is known to work
}

// NewSubscriber returns a Subscriber for messages of type M. The publisher
// takes the dead letters; with nil, permanent errors nack like others.
func NewSubscriber[M proto.Message](
	client *pubsub.Client, publisher *Publisher, cfg Config, handler Handler[M], reg prometheus.Registerer, log zerolog.Logger,
) *Subscriber {
	return newSubscriber(client, publisher, cfg, protoDecoder(handler), reg, log)
}

// NewRawSubscriber returns a Subscriber for messages of any form: JSON, or dead
// letters.
func NewRawSubscriber(
	client *pubsub.Client, publisher *Publisher, cfg Config, handler RawHandler, reg prometheus.Registerer, log zerolog.Logger,
) *Subscriber {
	return newSubscriber(client, publisher, cfg, rawDecoder(handler), reg, log)
}

func newSubscriber(
	client *pubsub.Client, publisher *Publisher, cfg Config, decode decoder, reg prometheus.Registerer, log zerolog.Logger,
) *Subscriber {
	entry, _ := topology.Find(cfg.Subscription)
	cfg = cfg.withDefaults()
	s := &Subscriber{
		client:       client,
		cfg:          cfg,
		seats:        make(chan struct{}, cfg.MaxOutstanding/2),
		decode:       decode,
		readsLetters: entry.DeadLetters(),
		metrics:      newSubscriberMetrics(reg, cfg.Subscription),
		log:          log.With().Str("subscription", cfg.Subscription).Logger(),
	}
	if publisher != nil && !s.readsLetters {
		s.deadLetters = publisher
	}
	return s
}

// Ready is nil while messages can come. A pull that broke off counts as mended
// when a message has come or when it has held for RetryDelay.
func (s *Subscriber) Ready(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lastError != nil && (s.pulling.IsZero() || time.Since(s.pulling) < s.cfg.RetryDelay):
		return s.lastError
	case s.pulling.IsZero():
		return fmt.Errorf("subscription %s is not being pulled", s.cfg.Subscription)
	default:
		return nil
	}
}

// Check asks Pub/Sub for the subscription, for a check at start-up. A process
// that may not read its settings passes: Pub/Sub answered. From then on a message
// that fails at its last attempt is moved to the dead letters with the reason,
// which Pub/Sub could not tell when it forwards it.
func (s *Subscriber) Check(ctx context.Context) error {
	name := topology.SubscriptionName(s.client.Project(), s.cfg.Subscription)
	found, err := s.client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
	if err == nil {
		s.maxAttempts.Store(found.GetDeadLetterPolicy().GetMaxDeliveryAttempts())
	}
	return exists("subscription "+name, err)
}

func (s *Subscriber) setPulling(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulling = since
}

func (s *Subscriber) setError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastError = err
	if err != nil {
		s.pulling = time.Time{}
	}
}

package logsink

import (
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of one publish request.
const (
	batchCount = 100
	batchBytes = 1 << 20
	// publishTimeout bounds a request to a Pub/Sub that hangs; it is then sent
	// again, so the messages may arrive twice.
	publishTimeout = 10 * time.Second
)

// publisher sends messages; it returns once all are confirmed or none is known to be.
type publisher interface {
	publish(ctx context.Context, batch []*pubsubpb.PubsubMessage) error
}

// topicPublisher publishes with the plain call rather than with the client's
// batching Publisher, whose flush at the end cannot be cancelled.
type topicPublisher struct {
	client *pubsub.Client
	topic  string
}

func (p topicPublisher) publish(ctx context.Context, batch []*pubsubpb.PubsubMessage) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := p.client.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Topic: p.topic, Messages: batch})
	return err
}

// deliverDue publishes what is due until ctx ends. While a request is on its
// way the next batch gathers.
func (s *Sink) deliverDue(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.changed.next()
		batch, wait, waiting := s.takeDue()
		if len(batch) > 0 {
			s.deliver(ctx, batch)
			continue
		}
		var timer <-chan time.Time
		if waiting {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer:
		}
	}
}

func (s *Sink) takeDue() (batch []*pubsubpb.PubsubMessage, wait time.Duration, waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch, wait, waiting = s.queue.take(time.Now(), batchCount, batchBytes)
	s.inFlight = len(batch)
	return batch, wait, waiting
}

// deliver publishes a batch, for as long as it takes. Cloud Logging buffers
// while its destination is out; a topic that does not exist would be a
// misconfiguration to it and the entries lost, but on one machine it means that
// the emulator was started anew and is about to be provisioned.
func (s *Sink) deliver(ctx context.Context, batch []*pubsubpb.PubsubMessage) {
	const first, most = 50 * time.Millisecond, 2 * time.Second
	for pause := first; ctx.Err() == nil; pause = min(2*pause, most) {
		err := s.pub.publish(ctx, batch)
		if err == nil {
			s.settle(len(batch), func(c *Counts) { c.Published += len(batch) })
			return
		}
		if ctx.Err() != nil {
			return
		}
		if status.Code(err) == codes.InvalidArgument {
			s.deliverApart(ctx, batch, err)
			return
		}
		s.cfg.Log.Warn().Err(err).Int("messages", len(batch)).Msg("log entries were not published; trying again")
		s.count(func(c *Counts) { c.Retries++ })
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// deliverApart finds the message that Pub/Sub refuses: one spoils its batch.
func (s *Sink) deliverApart(ctx context.Context, batch []*pubsubpb.PubsubMessage, err error) {
	if len(batch) > 1 {
		half := len(batch) / 2
		s.deliver(ctx, batch[:half])
		s.deliver(ctx, batch[half:])
		return
	}
	s.cfg.Log.Error().Err(err).Msg("Pub/Sub refuses a log entry; it is lost")
	s.settle(1, func(c *Counts) { c.Discarded++ })
}

// settle notes that messages in flight have come to an end.
func (s *Sink) settle(n int, update func(*Counts)) {
	s.mu.Lock()
	s.inFlight -= n
	update(&s.counts)
	s.mu.Unlock()
	s.changed.fire()
}

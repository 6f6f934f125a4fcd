package messaging

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// conclude turns Pub/Sub's answer for a message into its result. InvalidArgument
// may be meant for another message of the batch, so it is believed only of the
// message alone.
func (p *Publisher) conclude(ctx context.Context, topic string, data []byte, attributes map[string]string, err error) error {
	if status.Code(err) == codes.InvalidArgument {
		if err = p.publishAlone(ctx, topic, data, attributes); status.Code(err) == codes.InvalidArgument {
			err = resilience.Permanent(err)
		}
	}
	if errors.Is(err, pubsub.ErrOversizedMessage) {
		err = resilience.Permanent(err)
	}
	label := p.metrics.label(topic)
	switch {
	case err == nil:
		p.metrics.published.WithLabelValues(label, publishConfirmed).Inc()
		p.broken.Store(nil)
		return nil
	case resilience.IsPermanent(err):
		err = fmt.Errorf("publish to %s: %w", topic, err)
		p.metrics.published.WithLabelValues(label, publishRefused).Inc()
		p.log.Error().Ctx(WithTrace(ctx, Trace(attributes))).
			Func(func(e *zerolog.Event) { logAttributes(e, attributes) }).
			Err(err).Str("topic", topic).Msg("message refused for good")
		return err
	default:
		err = fmt.Errorf("publish to %s: %w", topic, outage(err))
		p.metrics.published.WithLabelValues(label, publishFailed).Inc()
		if resilience.CategoryOf(err) == resilience.CategoryDependency {
			p.broken.Store(&fault{topic: topic, err: err, probeAt: time.Now().Add(p.cfg.ProbeAfter)})
		}
		return err
	}
}

func (p *Publisher) publishAlone(ctx context.Context, topic string, data []byte, attributes map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	_, err := p.client.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{
		Topic:    topology.TopicName(p.client.Project(), topic),
		Messages: []*pubsubpb.PubsubMessage{{Data: data, Attributes: attributes}},
	})
	return err //nolint:wrapcheck // conclude wraps it
}

// refused is the result of a message that breaks a rule of ours or of Pub/Sub.
func (p *Publisher) refused(topic string, err error) *Result {
	p.metrics.published.WithLabelValues(p.metrics.label(topic), publishRefused).Inc()
	p.log.Error().Err(err).Str("topic", topic).Msg("message refused for good")
	return failed(err)
}

func failed(err error) *Result {
	r := &Result{done: make(chan struct{}), err: err}
	close(r.done)
	return r
}

// Missing reports whether err comes from a topic or subscription that does not
// exist. It is an outage to who works through a subscription, for it is being
// provisioned anew; a person who asks for one publish wants to know.
func Missing(err error) bool { return status.Code(err) == codes.NotFound }

// outage names Pub/Sub as what is down. A missing topic or subscription is an
// outage too: it is being provisioned anew, and nothing that we send is at fault.
func outage(err error) error {
	if status.Code(err) == codes.NotFound || resilience.CategoryOf(err) == resilience.CategoryDependency {
		return resilience.Dependency(Dependency, err)
	}
	return err
}

func permanentf(format string, args ...any) error {
	return resilience.Permanent(fmt.Errorf(format, args...))
}

// logAttributes adds the ids that a message carries. They come from outside:
// cut, and never more than these.
func logAttributes(e *zerolog.Event, attributes map[string]string) {
	for _, key := range []string{AttributeEventID, AttributeJobID, AttributeCorrelationID} {
		if value := attributes[key]; value != "" {
			e.Str(key, Cut(value, 256))
		}
	}
}

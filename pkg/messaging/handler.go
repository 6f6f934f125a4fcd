package messaging

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/resilience"
)

// Meta is what is known of a message beside its content. All attributes come
// from the publisher and are not to be trusted.
type Meta struct {
	// MessageID is Pub/Sub's; a repeat by the publisher has another one.
	MessageID string
	// EventID, JobID, CorrelationID and Type are the attributes of those names.
	EventID, JobID, CorrelationID, Type string
	// Subscription is the ID of the subscription that it came through.
	Subscription string
	// PublishTime is when Pub/Sub took the message.
	PublishTime time.Time
	// DeliveryAttempt counts from 1; 0 where the subscription has no
	// dead-letter policy, so that Pub/Sub does not count.
	DeliveryAttempt int
	// Span is the trace context that the publisher worked in; not valid when it
	// gave none. The handler's context carries it too, and what is published with
	// that context carries it on.
	Span trace.SpanContext
	// Attributes are all attributes; not to be changed.
	Attributes map[string]string
}

// RawMessage is a message as it came.
type RawMessage struct {
	Meta
	// Data is the payload; not to be changed.
	Data []byte
}

// Handler handles one message: nil acks it, a permanent error moves it to the
// dead letters, any other error nacks it. It may be called for many messages at
// once, and again for the same one. ctx ends with the message's own timeout or
// with the shutdown budget, not when the shutdown begins; it carries the
// publisher's span context.
type Handler[M proto.Message] func(ctx context.Context, msg M, meta Meta) error

// RawHandler is a Handler for topics that carry something else than protobuf.
type RawHandler func(ctx context.Context, msg RawMessage) error

// work handles one message that has been decoded.
type work func(ctx context.Context) error

// decoder prepares the work for a message. Its errors are permanent. It counts
// what only a newer sender can have set.
type decoder func(msg RawMessage, s *Subscriber) (work, error)

func rawDecoder(handler RawHandler) decoder {
	return func(msg RawMessage, _ *Subscriber) (work, error) {
		return func(ctx context.Context) error { return handler(ctx, msg) }, nil
	}
}

func protoDecoder[M proto.Message](handler Handler[M]) decoder {
	var zero M
	kind := zero.ProtoReflect().Type()
	name := string(kind.Descriptor().FullName())
	return func(raw RawMessage, s *Subscriber) (work, error) {
		// A message without the attribute gets its chance: a topic carries one type.
		if raw.Type != "" && raw.Type != name {
			return nil, fmt.Errorf("decode %s: message says that it is a %q", name, Cut(raw.Type, 256))
		}
		if len(raw.Data) == 0 {
			return nil, fmt.Errorf("decode %s: message is empty", name)
		}
		msg, ok := kind.New().Interface().(M)
		if !ok {
			return nil, fmt.Errorf("decode %s: the type makes messages of another type", name)
		}
		if err := proto.Unmarshal(raw.Data, msg); err != nil {
			return nil, fmt.Errorf("decode %s: %w", name, err)
		}
		if n := UnknownFields(msg); n > 0 {
			s.metrics.unknownFields.Add(float64(n))
			s.log.Debug().Str("message_id", raw.MessageID).Int("fields", n).
				Func(func(e *zerolog.Event) { logAttributes(e, raw.Attributes) }).
				Msg("message has fields that only a newer release knows; they are ignored")
		}
		return func(ctx context.Context) error { return handler(ctx, msg, raw.Meta) }, nil
	}
}

// Undecodable marks err as permanent and has the message counted as undecodable,
// for handlers that do a part of the decoding themselves. nil stays nil.
func Undecodable(err error) error {
	if err == nil {
		return nil
	}
	return undecodable{err}
}

// undecodable tells a message that could not be read from one that was refused.
type undecodable struct{ err error }

func (u undecodable) Error() string { return u.err.Error() }
func (u undecodable) Unwrap() error { return resilience.Permanent(u.err) }

func (s *Subscriber) raw(m *pubsub.Message) RawMessage {
	msg := RawMessage{Data: m.Data, Meta: Meta{
		MessageID:     m.ID,
		EventID:       m.Attributes[AttributeEventID],
		JobID:         m.Attributes[AttributeJobID],
		CorrelationID: m.Attributes[AttributeCorrelationID],
		Type:          m.Attributes[AttributeType],
		Subscription:  s.cfg.Subscription,
		PublishTime:   m.PublishTime,
		Span:          Trace(m.Attributes),
		Attributes:    m.Attributes,
	}}
	if m.DeliveryAttempt != nil {
		msg.DeliveryAttempt = *m.DeliveryAttempt
	}
	return msg
}

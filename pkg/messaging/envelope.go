package messaging

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// Attributes that every message of ours carries.
const (
	// AttributeEventID is the id of the fact; repeats carry the same.
	AttributeEventID = "event_id"
	// AttributeJobID is the job that the message is about.
	AttributeJobID = "job_id"
	// AttributeCorrelationID ties together what one user request set off.
	AttributeCorrelationID = "correlation_id"
	// AttributeType is the full name of the protobuf message.
	AttributeType = "type"
)

// Pub/Sub's limits (quotas page of its documentation). They are checked before
// batching: in production one message that breaks them fails its whole batch.
const (
	// MaxAttributes is how many attributes a message may have.
	MaxAttributes = 100
	// MaxAttributeKey is the size of a key in bytes.
	MaxAttributeKey = 256
	// MaxAttributeValue is the size of a value in bytes.
	MaxAttributeValue = 1024
	// MaxMessage is the size of a message in bytes, attributes included.
	MaxMessage = 10_000_000
)

// Envelope is a message as it goes on the wire, for code that stores it first
// (an outbox) and publishes it later.
type Envelope struct {
	// Topic is the ID of the topic that carries its type.
	Topic string
	// Type is the full name of the protobuf message.
	Type string
	// Data is the binary protobuf.
	Data []byte
	// Attributes are the attributes named above; empty ones are left out.
	Attributes map[string]string
}

// head is what every message type of the contract begins with.
type head interface {
	GetEventId() string
	GetJobId() string
	GetCorrelationId() string
}

// Encode prepares msg for its topic. Every error is permanent: a type that no
// topic carries, a field that is no valid UTF-8, a limit of Pub/Sub.
func Encode(msg proto.Message) (Envelope, error) {
	name := msg.ProtoReflect().Descriptor().FullName()
	topic, ok := topology.TopicOf(name)
	if !ok {
		return Envelope{}, resilience.Permanent(fmt.Errorf("encode %s: no topic carries this type", name))
	}
	data, err := proto.Marshal(msg)
	if err != nil {
		return Envelope{}, resilience.Permanent(fmt.Errorf("encode %s: %w", name, err))
	}
	e := Envelope{Topic: topic, Type: string(name), Data: data, Attributes: map[string]string{AttributeType: string(name)}}
	if h, ok := msg.(head); ok {
		e.set(AttributeEventID, h.GetEventId())
		e.set(AttributeJobID, h.GetJobId())
		e.set(AttributeCorrelationID, h.GetCorrelationId())
	}
	if err := check(e.Data, e.Attributes); err != nil {
		return Envelope{}, resilience.Permanent(fmt.Errorf("encode %s: %w", name, err))
	}
	return e, nil
}

func (e *Envelope) set(key, value string) {
	if value != "" {
		e.Attributes[key] = value
	}
}

// check holds a message to Pub/Sub's limits and reports all that it breaks.
func check(data []byte, attributes map[string]string) error {
	var errs []error
	if len(data) == 0 && len(attributes) == 0 {
		errs = append(errs, errors.New("message has neither data nor attributes"))
	}
	if len(attributes) > MaxAttributes {
		errs = append(errs, fmt.Errorf("message has %d attributes, Pub/Sub allows %d", len(attributes), MaxAttributes))
	}
	size := len(data)
	for key, value := range attributes {
		size += len(key) + len(value)
		switch shown := Cut(key, 64); {
		case key == "" || len(key) > MaxAttributeKey:
			errs = append(errs, fmt.Errorf("attribute key %q has %d bytes, Pub/Sub allows 1 to %d", shown, len(key), MaxAttributeKey))
		case len(value) > MaxAttributeValue:
			errs = append(errs, fmt.Errorf("attribute %q has %d bytes, Pub/Sub allows %d", shown, len(value), MaxAttributeValue))
		case !utf8.ValidString(key) || !utf8.ValidString(value):
			errs = append(errs, fmt.Errorf("attribute %q is no valid UTF-8", shown))
		}
	}
	if size > MaxMessage {
		errs = append(errs, fmt.Errorf("message has %d bytes, Pub/Sub allows %d", size, MaxMessage))
	}
	return errors.Join(errs...)
}

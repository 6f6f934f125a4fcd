package letter

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Letter is a dead letter as it was read.
type Letter struct {
	// Arrival is what is stored of it.
	Arrival letters.Arrival
	// Message is the decoded payload; nil when it could not be read, or is none of
	// our messages.
	Message proto.Message
	// Tenant is whose job it is in the message's own words; the job's record knows
	// better.
	Tenant string
	// Known says that it died in a subscription of ours.
	Known bool
	// Trusted says that the subscription carries its type, too: only then may a
	// verdict on its job be concluded from it.
	Trusted bool
}

// AboutJob is the job that something may be noted for because of this letter;
// "" if there is none. Log entries are out: who can print a line could otherwise
// speak of any job.
func (l *Letter) AboutJob() string {
	s := l.Stored()
	if !l.Known || s.Type == letters.TypeLogEntry {
		return ""
	}
	return s.JobID
}

// Stored is what is kept of it.
func (l *Letter) Stored() *letters.Letter { return &l.Arrival.Letter }

// maxDecode is the largest payload that is decoded: the largest message of ours
// is far below, and a view of more helps nobody.
const maxDecode = letters.MaxInlinePayload

// head is what every message of ours begins with.
type head interface {
	proto.Message
	GetEventId() string
	GetJobId() string
	GetCorrelationId() string
}

// Read reads a message of the dead letters. project is our own; now is the
// clock that times in attributes are judged by.
func Read(msg *messaging.RawMessage, project string, now time.Time) Letter {
	o := originOf(msg.Attributes, project, now)
	kind, agrees := typeOf(o.topic, msg.Attributes[messaging.AttributeType])
	l := Letter{
		Arrival: letters.Arrival{MessageID: msg.MessageID, DiedAt: msg.PublishTime.UTC(), Replay: o.replay},
		Message: decode(kind, msg.Data),
		Known:   o.subscription != letters.Unknown,
		Trusted: o.subscription != letters.Unknown && agrees,
	}
	sum := sha256.Sum256(msg.Data)
	s := l.Stored()
	*s = letters.Letter{
		Subscription: o.subscription, Topic: o.topic, Type: kind,
		Attempts: o.attempts, Reason: o.reason, Category: o.category, Dependency: o.dependency,
		PublishedAt: o.publishedAt,
		Payload:     msg.Data, PayloadSize: int64(len(msg.Data)), PayloadSHA256: hex.EncodeToString(sum[:]),
		Attributes: attributesOf(msg.Attributes),
		Decoded:    view(kind, l.Message, msg.Data),
	}
	l.identify(msg)
	s.Fingerprint = fingerprint(s)
	s.ID = letters.ID(s.Subscription, s.JobID, s.EventID, msg.Data, s.Attributes)
	return l
}

// identify fills in what the message is about: by its payload where that can be
// read, else by its attributes. The id of the fact is the payload's or none, for
// by an attribute one message could be made to pass for another.
func (l *Letter) identify(msg *messaging.RawMessage) {
	s := l.Stored()
	if s.Type == letters.TypeLogEntry {
		return // the sink sets no ids, so whoever did is not the sink
	}
	jobID, correlationID := msg.JobID, msg.CorrelationID
	if m, ok := l.Message.(head); ok {
		jobID, correlationID = cmp.Or(m.GetJobId(), jobID), cmp.Or(m.GetCorrelationId(), correlationID)
		if uuid.Validate(m.GetEventId()) == nil {
			s.EventID = m.GetEventId()
		}
	}
	if m, ok := l.Message.(interface {
		GetDescription() *resiliencyv1.JobDescription
	}); ok {
		l.Tenant = job.Cut(m.GetDescription().GetTenant(), job.MaxMessageBytes)
	}
	if job.CheckID(jobID) == nil {
		s.JobID = jobID
	}
	s.CorrelationID = job.Cut(correlationID, job.MaxMessageBytes)
}

// typeOf is the type of a message from that topic that says it is of a type.
// agrees is false when it says something else than the topic carries.
func typeOf(topic, says string) (kind string, agrees bool) {
	for _, t := range topology.Topics() {
		if t.ID != topic {
			continue
		}
		kind = string(t.Message)
		if kind == "" {
			return letters.TypeLogEntry, true
		}
		if says == "" || says == kind {
			return kind, true
		}
	}
	if newMessage(says) != nil {
		return says, false
	}
	return letters.Unknown, false
}

// newMessage is an empty message of the type, nil if it is none of ours.
func newMessage(kind string) head {
	for _, m := range []head{
		&resiliencyv1.JobEvent{}, &resiliencyv1.PhaseEvent{}, &resiliencyv1.JobUpdate{}, &resiliencyv1.JobCommand{},
	} {
		if string(m.ProtoReflect().Descriptor().FullName()) == kind {
			return m
		}
	}
	return nil
}

// decode is the message, nil when it cannot be read.
func decode(kind string, data []byte) proto.Message {
	m := newMessage(kind)
	if m == nil || len(data) == 0 || len(data) > maxDecode || proto.Unmarshal(data, m) != nil {
		return nil
	}
	return m
}

// attributesOf are the message's own attributes, in order.
func attributesOf(all map[string]string) []letters.Attribute {
	own := messaging.OriginalAttributes(all)
	out := make([]letters.Attribute, 0, len(own))
	for _, key := range slices.Sorted(maps.Keys(own)) {
		out = append(out, letters.Attribute{
			Key: job.Cut(key, messaging.MaxAttributeKey), Value: job.Cut(own[key], messaging.MaxAttributeValue),
		})
	}
	return out
}

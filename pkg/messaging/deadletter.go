package messaging

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// Attributes that a dead letter carries beside its own when we moved it. Any
// publisher can set them, so readers must not trust them.
const (
	// AttributeDeadLetterReason is the error, cut to MaxAttributeValue bytes.
	AttributeDeadLetterReason = "dead_letter_reason"
	// AttributeDeadLetterCategory is the resilience.Category of the error.
	AttributeDeadLetterCategory = "dead_letter_category"
	// AttributeDeadLetterDependency names what was down, for category dependency.
	AttributeDeadLetterDependency = "dead_letter_dependency"
	// AttributeDeadLetterSubscription is the ID of the subscription it died in.
	AttributeDeadLetterSubscription = "dead_letter_subscription"
	// AttributeDeadLetterMessageID is Pub/Sub's id of the message that died.
	AttributeDeadLetterMessageID = "dead_letter_message_id"
	// AttributeDeadLetterPublishTime is when that one was published, RFC 3339.
	AttributeDeadLetterPublishTime = "dead_letter_publish_time"
	// AttributeDeadLetterAttempts is how often it was delivered, if known.
	AttributeDeadLetterAttempts = "dead_letter_attempts"
)

// Attributes that Pub/Sub adds when it forwards a message after its last attempt.
const (
	// AttributeForwardedSubscription is the subscription, as ID or full name.
	AttributeForwardedSubscription = "CloudPubSubDeadLetterSourceSubscription"
	// AttributeForwardedProject is the project of that subscription.
	AttributeForwardedProject = "CloudPubSubDeadLetterSourceSubscriptionProject"
	// AttributeForwardedAttempts is how often the message was delivered.
	AttributeForwardedAttempts = "CloudPubSubDeadLetterSourceDeliveryCount"
	// AttributeForwardedPublishTime is when it was published first, RFC 3339.
	AttributeForwardedPublishTime = "CloudPubSubDeadLetterSourceTopicPublishTime"
)

// AttributeReplayNumber counts, on a replayed message beside its replay_target,
// the replays of its letter from 1: if it dies again, it tells of which.
const AttributeReplayNumber = "replay_number"

// Prefixes of the attributes that are added on the way to the dead letters.
const (
	deadLetterPrefix = "dead_letter_"
	forwardedPrefix  = "CloudPubSubDeadLetterSource"
)

// schemaPrefix begins the attributes that Pub/Sub adds on delivery from a topic
// with a schema. They are not the publisher's and may not be published.
const schemaPrefix = "googclient_schema"

// deadLetters takes messages that no retry can help. *Publisher is one.
type deadLetters interface {
	PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error
}

// moveToDeadLetters publishes the message, unchanged, with why and whence.
func (s *Subscriber) moveToDeadLetters(ctx context.Context, msg RawMessage, reason error) error {
	ours := map[string]string{
		AttributeDeadLetterReason:       Cut(reason.Error(), MaxAttributeValue),
		AttributeDeadLetterCategory:     string(resilience.CategoryOf(reason)),
		AttributeDeadLetterSubscription: s.cfg.Subscription,
		AttributeDeadLetterMessageID:    msg.MessageID,
		AttributeDeadLetterPublishTime:  msg.PublishTime.UTC().Format(time.RFC3339Nano),
	}
	if name := resilience.DependencyOf(reason); name != "" {
		ours[AttributeDeadLetterDependency] = Cut(name, MaxAttributeValue)
	}
	if msg.DeliveryAttempt > 0 {
		ours[AttributeDeadLetterAttempts] = strconv.Itoa(msg.DeliveryAttempt)
	}
	attributes := letterAttributes(msg.Attributes, ours)
	if err := s.deadLetters.PublishRaw(ctx, topology.TopicDeadLetters, msg.Data, attributes); err != nil {
		return fmt.Errorf("move message %s to the dead letters: %w", msg.MessageID, err)
	}
	return nil
}

// letterAttributes joins what the message had with what we add, which wins. In
// the rare case that both together break Pub/Sub's limit, attributes go that
// are not part of the contract, the last in the alphabet first: a letter that
// lacks a foreign attribute is better than none.
func letterAttributes(original, ours map[string]string) map[string]string {
	all := maps.Clone(original)
	if all == nil {
		all = map[string]string{}
	}
	// What Pub/Sub adds when it forwards is then on none that we moved, so that a
	// reader can tell the two, whatever the publisher had set.
	maps.DeleteFunc(all, func(key, _ string) bool { return addedOnTheWay(key) })
	maps.Copy(all, ours)
	if len(all) <= MaxAttributes {
		return all
	}
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		if _, added := ours[key]; added || ofContract(key) {
			continue
		}
		if delete(all, key); len(all) <= MaxAttributes {
			break
		}
	}
	return all
}

func addedOnTheWay(key string) bool {
	return strings.HasPrefix(key, deadLetterPrefix) || strings.HasPrefix(key, forwardedPrefix) || strings.HasPrefix(key, schemaPrefix)
}

// OriginalAttributes are the attributes of a dead letter that its publisher
// set: without those that were added on its way to the dead letters or for its
// replay. The argument stays as it is.
func OriginalAttributes(letter map[string]string) map[string]string {
	original := maps.Clone(letter)
	maps.DeleteFunc(original, func(key, _ string) bool {
		return addedOnTheWay(key) || key == topology.AttributeReplayTarget || key == AttributeReplayNumber
	})
	return original
}

func ofContract(key string) bool {
	switch key {
	case AttributeEventID, AttributeJobID, AttributeCorrelationID, AttributeType,
		topology.AttributeReplayTarget, AttributeReplayNumber, AttributeTraceParent, AttributeTraceState:
		return true
	default:
		return false
	}
}

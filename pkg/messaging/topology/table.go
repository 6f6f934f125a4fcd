package topology

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// The topics.
const (
	// TopicJobEvents carries JobEvent: claims about jobs.
	TopicJobEvents = "job-events"
	// TopicJobLogEntries carries Cloud Logging's LogEntry as JSON, from the log sink.
	TopicJobLogEntries = "job-log-entries"
	// TopicJobPhases carries PhaseEvent: what a job passed through.
	TopicJobPhases = "job-phases"
	// TopicJobUpdates carries JobUpdate: committed changes, for the product.
	TopicJobUpdates = "job-updates"
	// TopicJobCommands carries JobCommand: what the product's workers shall do.
	TopicJobCommands = "job-commands"
	// TopicDeadLetters carries any message that failed, unchanged.
	TopicDeadLetters = "dead-letters"
)

// The subscriptions, named <topic>-<who reads it>.
const (
	// SubscriptionJobEventsStatusUpdater is status-updater's on job-events.
	SubscriptionJobEventsStatusUpdater = "job-events-status-updater"
	// SubscriptionJobLogEntriesStatusUpdater is status-updater's on job-log-entries.
	SubscriptionJobLogEntriesStatusUpdater = "job-log-entries-status-updater"
	// SubscriptionJobPhasesPhaseTracer is phase-tracer's on job-phases.
	SubscriptionJobPhasesPhaseTracer = "job-phases-phase-tracer"
	// SubscriptionJobUpdatesPhaseTracer is phase-tracer's on job-updates.
	SubscriptionJobUpdatesPhaseTracer = "job-updates-phase-tracer"
	// SubscriptionJobUpdatesProduct is the product's own, which tells its users.
	SubscriptionJobUpdatesProduct = "job-updates-product"
	// SubscriptionJobCommandsProduct is the one of the product's workers.
	SubscriptionJobCommandsProduct = "job-commands-product"
	// SubscriptionDeadLettersDLQHandler is dlq-handler's on dead-letters.
	SubscriptionDeadLettersDLQHandler = "dead-letters-dlq-handler"
)

// AttributeReplayTarget names, on a replayed message, the one subscription
// that shall handle it.
const AttributeReplayTarget = "replay_target"

// Topic is one row of the table.
type Topic struct {
	// ID is the topic's name within its project.
	ID string
	// Message is the full name of the protobuf message it carries, "" where
	// it carries something else.
	Message protoreflect.FullName
	// Subscriptions are the topic's subscriptions.
	Subscriptions []Subscription
}

// Subscription is one reader of a topic.
type Subscription struct {
	// ID is the subscription's name within its project.
	ID string
	// Topic is the ID of the topic it reads.
	Topic string
}

// DeadLetters reports whether the subscription reads the dead letters
// themselves. Such a one has no dead-letter policy, it retries for ever; and it
// takes every message, for a letter may still carry the replay_target of the
// replay that it died of.
func (s Subscription) DeadLetters() bool { return s.Topic == TopicDeadLetters }

// Filter is the subscription's Pub/Sub filter: messages that are no replay, and
// replays meant for it. Pub/Sub allows 256 bytes. "" for the dead letters.
func (s Subscription) Filter() string {
	if s.DeadLetters() {
		return ""
	}
	return fmt.Sprintf("NOT attributes:%s OR attributes.%s = %q", AttributeReplayTarget, AttributeReplayTarget, s.ID)
}

// Topics returns the table.
func Topics() []Topic {
	return []Topic{
		topic(TopicJobEvents, &resiliencyv1.JobEvent{}, SubscriptionJobEventsStatusUpdater),
		topic(TopicJobLogEntries, nil, SubscriptionJobLogEntriesStatusUpdater),
		topic(TopicJobPhases, &resiliencyv1.PhaseEvent{}, SubscriptionJobPhasesPhaseTracer),
		topic(TopicJobUpdates, &resiliencyv1.JobUpdate{}, SubscriptionJobUpdatesPhaseTracer, SubscriptionJobUpdatesProduct),
		topic(TopicJobCommands, &resiliencyv1.JobCommand{}, SubscriptionJobCommandsProduct),
		topic(TopicDeadLetters, nil, SubscriptionDeadLettersDLQHandler),
	}
}

// TopicOf returns the topic that carries the message type; false if none does.
func TopicOf(message protoreflect.FullName) (string, bool) {
	for _, t := range Topics() {
		if t.Message != "" && t.Message == message {
			return t.ID, true
		}
	}
	return "", false
}

// Find returns the subscription of that ID; false if the table has none.
func Find(subscription string) (Subscription, bool) {
	for _, t := range Topics() {
		for _, s := range t.Subscriptions {
			if s.ID == subscription {
				return s, true
			}
		}
	}
	return Subscription{}, false
}

func topic(id string, message proto.Message, subscriptions ...string) Topic {
	t := Topic{ID: id}
	if message != nil {
		t.Message = message.ProtoReflect().Descriptor().FullName()
	}
	for _, s := range subscriptions {
		t.Subscriptions = append(t.Subscriptions, Subscription{ID: s, Topic: id})
	}
	return t
}

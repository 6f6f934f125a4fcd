package topology

import (
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Profile chooses the settings of the subscriptions.
type Profile string

const (
	// Production is for a real project.
	Production Profile = "production"
	// Local is for one machine: failures show in seconds, not in minutes.
	Local Profile = "local"
)

// Settings are what a profile gives to every subscription.
type Settings struct {
	// MinBackoff and MaxBackoff bound the delay before a nacked message comes again.
	MinBackoff, MaxBackoff time.Duration
	// MaxDeliveryAttempts is how often a message is tried before Pub/Sub
	// forwards it to the dead letters (5 to 100).
	MaxDeliveryAttempts int32
	// Retention is how long an unacked message is kept.
	Retention time.Duration
	// DeadLetterRetention is the same for the dead letters.
	DeadLetterRetention time.Duration
	// AckDeadline is how long a message stays with a reader that gives no sign
	// of life; readers extend it by as much at a time.
	AckDeadline time.Duration
}

// Settings returns the profile's settings; false for an unknown profile.
func (p Profile) Settings() (Settings, bool) {
	const day = 24 * time.Hour
	switch p {
	case Production:
		return Settings{
			MinBackoff: 10 * time.Second, MaxBackoff: 600 * time.Second, MaxDeliveryAttempts: 10,
			Retention: 7 * day, DeadLetterRetention: 31 * day, AckDeadline: 20 * time.Second,
		}, true
	case Local:
		// Emulator and fakes refuse more than 7 days, and no local run lasts as long.
		return Settings{
			MinBackoff: time.Second, MaxBackoff: 2 * time.Second, MaxDeliveryAttempts: 5,
			Retention: 7 * day, DeadLetterRetention: 7 * day, AckDeadline: 20 * time.Second,
		}, true
	default:
		return Settings{}, false
	}
}

// subscriptionProto is the subscription as Pub/Sub's API wants it. No ordering:
// the merge does not need it, and it does not survive dead-lettering.
func (s Settings) subscriptionProto(projectID string, sub Subscription) *pubsubpb.Subscription {
	p := &pubsubpb.Subscription{
		Name:                     SubscriptionName(projectID, sub.ID),
		Topic:                    TopicName(projectID, sub.Topic),
		AckDeadlineSeconds:       int32(s.AckDeadline.Seconds()),
		MessageRetentionDuration: durationpb.New(s.Retention),
		// Present but without a ttl means: never expires.
		ExpirationPolicy: &pubsubpb.ExpirationPolicy{},
		RetryPolicy: &pubsubpb.RetryPolicy{
			MinimumBackoff: durationpb.New(s.MinBackoff),
			MaximumBackoff: durationpb.New(s.MaxBackoff),
		},
		Filter: sub.Filter(),
	}
	if sub.DeadLetters() {
		p.MessageRetentionDuration = durationpb.New(s.DeadLetterRetention)
		return p
	}
	p.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{
		DeadLetterTopic:     TopicName(projectID, TopicDeadLetters),
		MaxDeliveryAttempts: s.MaxDeliveryAttempts,
	}
	return p
}

// TopicName is the full name of a topic.
func TopicName(projectID, id string) string { return "projects/" + projectID + "/topics/" + id }

// SubscriptionName is the full name of a subscription.
func SubscriptionName(projectID, id string) string {
	return "projects/" + projectID + "/subscriptions/" + id
}

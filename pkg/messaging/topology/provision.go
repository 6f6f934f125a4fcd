package topology

import (
	"context"
	"fmt"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Provision creates every topic and subscription of the table that is missing
// and brings the settings of the others to the profile's. It may run any number
// of times, and several at once. What cannot be changed in place (topic, filter)
// and differs is an error: only an operator may delete a subscription.
func Provision(ctx context.Context, client *pubsub.Client, projectID string, profile Profile) error {
	settings, ok := profile.Settings()
	if !ok {
		return fmt.Errorf("provision project %s: unknown profile %q", projectID, profile)
	}
	// All topics first: every subscription but one refers to dead-letters.
	for _, t := range Topics() {
		name := TopicName(projectID, t.ID)
		_, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: name})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	for _, t := range Topics() {
		for _, s := range t.Subscriptions {
			if err := ensureSubscription(ctx, client, settings.subscriptionProto(projectID, s)); err != nil {
				return err
			}
		}
	}
	return nil
}

func ensureSubscription(ctx context.Context, client *pubsub.Client, want *pubsubpb.Subscription) error {
	admin := client.SubscriptionAdminClient
	// The clone is sent because a fake server may keep and fill in what it gets.
	_, err := admin.CreateSubscription(ctx, proto.CloneOf(want))
	if err == nil {
		return nil
	}
	if status.Code(err) != codes.AlreadyExists {
		return fmt.Errorf("create subscription %s: %w", want.GetName(), err)
	}
	have, err := admin.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: want.GetName()})
	if err != nil {
		return fmt.Errorf("read subscription %s: %w", want.GetName(), err)
	}
	if have.GetTopic() != want.GetTopic() || have.GetFilter() != want.GetFilter() {
		return fmt.Errorf("subscription %s reads topic %q with filter %q but must read %q with %q, "+
			"which cannot be changed in place: drain and delete it, then provision again",
			want.GetName(), have.GetTopic(), have.GetFilter(), want.GetTopic(), want.GetFilter())
	}
	paths := changedPaths(have, want)
	if len(paths) == 0 {
		return nil
	}
	_, err = admin.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
		Subscription: proto.CloneOf(want),
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: paths},
	})
	if err != nil {
		return fmt.Errorf("update %v of subscription %s: %w", paths, want.GetName(), err)
	}
	return nil
}

// changedPaths lists the fields to update, those only that this package sets.
func changedPaths(have, want *pubsubpb.Subscription) []string {
	var paths []string
	add := func(path string, same bool) {
		if !same {
			paths = append(paths, path)
		}
	}
	add("ack_deadline_seconds", have.GetAckDeadlineSeconds() == want.GetAckDeadlineSeconds())
	add("message_retention_duration", proto.Equal(have.GetMessageRetentionDuration(), want.GetMessageRetentionDuration()))
	// An absent policy means 31 days, a present one without a ttl means never.
	add("expiration_policy", have.GetExpirationPolicy() != nil && have.GetExpirationPolicy().GetTtl() == nil)
	add("retry_policy", proto.Equal(have.GetRetryPolicy(), want.GetRetryPolicy()))
	add("dead_letter_policy", proto.Equal(have.GetDeadLetterPolicy(), want.GetDeadLetterPolicy()))
	return paths
}

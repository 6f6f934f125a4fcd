package topology_test

import (
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
)

func get(t *testing.T, broker *messagingtest.Broker, id string) *pubsubpb.Subscription {
	t.Helper()
	s, err := broker.Client.SubscriptionAdminClient.GetSubscription(t.Context(), &pubsubpb.GetSubscriptionRequest{
		Subscription: topology.SubscriptionName(broker.ProjectID, id),
	})
	if err != nil {
		t.Fatalf("get subscription %s: %v", id, err)
	}
	return s
}

func TestProvision(t *testing.T) {
	t.Parallel()
	broker := messagingtest.NewBare(t)
	if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local); err != nil {
		t.Fatalf("provision: %v", err)
	}
	for _, topic := range topology.Topics() {
		for _, s := range topic.Subscriptions {
			want := &pubsubpb.Subscription{
				Name:                     topology.SubscriptionName(broker.ProjectID, s.ID),
				Topic:                    topology.TopicName(broker.ProjectID, topic.ID),
				Filter:                   s.Filter(),
				AckDeadlineSeconds:       20,
				MessageRetentionDuration: durationpb.New(7 * 24 * time.Hour),
				ExpirationPolicy:         &pubsubpb.ExpirationPolicy{},
				RetryPolicy: &pubsubpb.RetryPolicy{
					MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(2 * time.Second),
				},
			}
			if s.ID != topology.SubscriptionDeadLettersDLQHandler {
				want.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{
					DeadLetterTopic:     topology.TopicName(broker.ProjectID, topology.TopicDeadLetters),
					MaxDeliveryAttempts: 5,
				}
			}
			ignore := protocmp.IgnoreFields(&pubsubpb.Subscription{}, "push_config", "state")
			if diff := cmp.Diff(want, get(t, broker, s.ID), protocmp.Transform(), ignore); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.ID, diff)
			}
		}
	}
}

func TestProvision_ConcurrentAndRepeated(t *testing.T) {
	t.Parallel()
	broker := messagingtest.NewBare(t)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			return topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("provision at once: %v", err)
	}
	if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local); err != nil {
		t.Fatalf("provision again: %v", err)
	}
}

func TestProvision_MendsSettings(t *testing.T) {
	t.Parallel()
	broker := messagingtest.New(t)
	before := get(t, broker, topology.SubscriptionJobEventsStatusUpdater)
	_, err := broker.Client.SubscriptionAdminClient.UpdateSubscription(t.Context(), &pubsubpb.UpdateSubscriptionRequest{
		Subscription: &pubsubpb.Subscription{Name: before.GetName(), AckDeadlineSeconds: 600},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{
			"ack_deadline_seconds", "retry_policy", "dead_letter_policy", "expiration_policy",
		}},
	})
	if err != nil {
		t.Fatalf("spoil the subscription: %v", err)
	}
	if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local); err != nil {
		t.Fatalf("provision: %v", err)
	}
	after := get(t, broker, topology.SubscriptionJobEventsStatusUpdater)
	if after.GetAckDeadlineSeconds() != 20 || after.GetDeadLetterPolicy().GetMaxDeliveryAttempts() != 5 ||
		after.GetRetryPolicy().GetMinimumBackoff().AsDuration() != time.Second || after.GetExpirationPolicy() == nil {
		t.Errorf("not mended: %v", after)
	}
}

func TestProvision_RefusesWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	broker := messagingtest.NewBare(t)
	topic := topology.TopicName(broker.ProjectID, topology.TopicJobEvents)
	if _, err := broker.Client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	_, err := broker.Client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name:               topology.SubscriptionName(broker.ProjectID, topology.SubscriptionJobEventsStatusUpdater),
		Topic:              topic,
		AckDeadlineSeconds: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local); err == nil {
		t.Error("a subscription without its filter was accepted: every replay would reach it")
	}
}

func TestProvision_Errors(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"CreateTopic", "CreateSubscription"} {
		broker := messagingtest.NewBare(t, pstest.WithErrorInjection(call, codes.PermissionDenied, "no"))
		if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, topology.Local); err == nil {
			t.Errorf("%s refused, yet no error", call)
		}
	}
	broker := messagingtest.NewBare(t)
	if err := topology.Provision(t.Context(), broker.Client, broker.ProjectID, "staging"); err == nil {
		t.Error("an unknown profile was accepted")
	}
}

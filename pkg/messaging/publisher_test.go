package messaging_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestPublisher_Publish(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	messages := map[string]proto.Message{
		topology.TopicJobEvents:   event("e-1"),
		topology.TopicJobPhases:   &resiliencyv1.PhaseEvent{EventId: "e-1", JobId: "j-1", CorrelationId: "c-1"},
		topology.TopicJobUpdates:  &resiliencyv1.JobUpdate{EventId: "e-1", JobId: "j-1", CorrelationId: "c-1"},
		topology.TopicJobCommands: &resiliencyv1.JobCommand{EventId: "e-1", JobId: "j-1", CorrelationId: "c-1"},
	}
	for _, msg := range messages {
		if err := b.publisher.Publish(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range b.Server.Messages() {
		msg := messages[strings.TrimPrefix(got.Topic, "projects/test-project/topics/")]
		if msg == nil {
			t.Errorf("a message on topic %s", got.Topic)
			continue
		}
		want := map[string]string{
			"event_id": "e-1", "job_id": "j-1", "correlation_id": "c-1",
			"type": string(msg.ProtoReflect().Descriptor().FullName()),
		}
		if diff := cmp.Diff(want, got.Attributes); diff != "" {
			t.Errorf("attributes on %s (-want +got):\n%s", got.Topic, diff)
		}
		decoded := msg.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(got.Data, decoded); err != nil || !proto.Equal(decoded, msg) {
			t.Errorf("payload on %s: %v, %v", got.Topic, decoded, err)
		}
	}
	if n := len(b.Server.Messages()); n != len(messages) {
		t.Errorf("%d messages", n)
	}
	if n := b.value(t, "resiliency_messages_published_total", "job-events", "confirmed"); n != 1 {
		t.Errorf("%v counted as confirmed", n)
	}
	if n := b.value(t, "resiliency_message_publish_seconds", "job-events"); n != 1 {
		t.Errorf("%v publish times observed", n)
	}
}

func TestPublisher_RefusesBeforeBatching(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	many := map[string]string{}
	for n := range 101 {
		many["key-"+strconv.Itoa(n)] = "v"
	}
	long := event("e-1")
	long.CorrelationId = strings.Repeat("x", 1025)
	broken := event("e-1")
	broken.Reporter = "\xff"
	ctx := t.Context()
	raw := func(data []byte, attributes map[string]string) func() error {
		return func() error { return b.publisher.PublishRaw(ctx, topology.TopicJobEvents, data, attributes) }
	}
	cases := map[string]struct {
		publish func() error
		want    string
	}{
		"long_value":        {func() error { return b.publisher.Publish(ctx, long) }, `"correlation_id" has 1025 bytes`},
		"invalid_utf8":      {func() error { return b.publisher.Publish(ctx, broken) }, "UTF-8"},
		"no_topic_for_type": {func() error { return b.publisher.Publish(ctx, durationpb.New(1)) }, "no topic carries"},
		"raw_long_value":    {raw(nil, map[string]string{"k": strings.Repeat("x", 1025)}), `"k" has 1025 bytes`},
		"raw_long_key":      {raw(nil, map[string]string{strings.Repeat("k", 257): "v"}), "257 bytes"},
		"raw_empty_key":     {raw(nil, map[string]string{"": "v"}), "0 bytes"},
		"raw_many":          {raw(nil, many), "101 attributes"},
		"raw_value_utf8":    {raw(nil, map[string]string{"k": "\xff"}), "UTF-8"},
		"raw_key_utf8":      {raw(nil, map[string]string{"\xff": "v"}), "UTF-8"},
		"raw_nothing":       {raw(nil, nil), "neither data nor attributes"},
		"raw_huge":          {raw(make([]byte, 10_000_001), nil), "10000001 bytes"},
	}
	for name, tc := range cases {
		err := tc.publish()
		if !resilience.IsPermanent(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want a permanent error with %q", name, err, tc.want)
		}
	}
	if n := len(b.Server.Messages()); n != 0 {
		t.Errorf("%d messages got through", n)
	}
	refused := b.value(t, "resiliency_messages_published_total", "job-events", "refused") +
		b.value(t, "resiliency_messages_published_total", "other", "refused")
	if int(refused) != len(cases) || b.publisher.Ready(ctx) != nil {
		t.Errorf("%v counted as refused, Ready %v", refused, b.publisher.Ready(ctx))
	}
	if err := raw(nil, map[string]string{"k": strings.Repeat("x", 1024)})(); err != nil {
		t.Errorf("a value of 1,024 bytes: %v", err)
	}
}

// poisonous refuses, as production does, the whole batch that has a bad message in it.
func poisonous(req any) error {
	for _, m := range req.(*pubsubpb.PublishRequest).GetMessages() {
		if m.GetAttributes()["event_id"] == "bad" {
			return status.Error(codes.InvalidArgument, "you have passed an invalid argument")
		}
	}
	return nil
}

func TestPublisher_OneBadMessageDoesNotFailItsBatch(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, fault)
	fault.Set(poisonous)
	p := messaging.NewPublisher(b.Client, messaging.PublisherConfig{BatchDelay: 100 * time.Millisecond}, nil, b.logger())
	results := map[string]*messaging.Result{}
	for _, id := range []string{"e-1", "bad", "e-2"} {
		results[id] = p.PublishAsync(traced(t), event(id))
	}
	for id, r := range results {
		receive(t, r.Done(), "the outcome of "+id)
		if bad := id == "bad"; bad != resilience.IsPermanent(r.Err()) || bad != (r.Err() != nil) {
			t.Errorf("%s: %v", id, r.Err())
		}
	}
	if n := len(b.Server.Messages()); n != 2 {
		t.Errorf("%d messages got through, want 2", n)
	}
	b.line(t, "message refused for good", `"event_id":"bad"`, `"topic":"job-events"`,
		`"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPublisher_MissingTopicIsAnOutage(t *testing.T) {
	t.Parallel()
	b := newBareBench(t)
	err := b.publisher.Publish(t.Context(), event("e-1"))
	if resilience.CategoryOf(err) != resilience.CategoryDependency || resilience.DependencyOf(err) != "pubsub" {
		t.Errorf("Publish = %v", err)
	}
	if !messaging.Missing(err) || messaging.Missing(nil) {
		t.Errorf("not known as missing: %v", err)
	}
	if got := b.publisher.Ready(t.Context()); !errors.Is(got, err) {
		t.Errorf("Ready = %v", got)
	}
	if n := b.value(t, "resiliency_messages_published_total", "job-events", "failed"); n != 1 {
		t.Errorf("%v counted as failed", n)
	}
	b.Provision(t)
	if err := b.publisher.Publish(t.Context(), event("e-1")); err != nil {
		t.Errorf("after provisioning: %v", err)
	}
	if err := b.publisher.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v", err)
	}
}

func TestPublisher_Close(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Only Close can send these: nobody waits an hour.
	p := messaging.NewPublisher(b.Client, messaging.PublisherConfig{BatchDelay: time.Hour}, nil, b.logger())
	var results []*messaging.Result
	for n := range 5 {
		results = append(results, p.PublishAsync(t.Context(), event("e-"+strconv.Itoa(n))))
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := results[0].Get(done); !errors.Is(err, context.Canceled) {
		t.Errorf("Get under a done context = %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if err := r.Get(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := len(b.Server.Messages()); n != 5 {
		t.Errorf("%d messages, want 5", n)
	}
	if err := p.Publish(t.Context(), event("late")); err == nil {
		t.Error("published after Close")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestPublisher_CloseGivesUpWithContext(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, fault)
	fault.Set(func(any) error { return status.Error(codes.Unavailable, "away") })
	p := messaging.NewPublisher(b.Client, messaging.PublisherConfig{Timeout: 500 * time.Millisecond}, nil, b.logger())
	r := p.PublishAsync(t.Context(), event("e-1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 messages unconfirmed") {
		t.Errorf("Close = %v", err)
	}
	if err := r.Get(t.Context()); resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("outcome %v", err)
	}
}

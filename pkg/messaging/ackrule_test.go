package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestSubscriber_NilAcks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	type call struct {
		msg  *resiliencyv1.JobEvent
		meta messaging.Meta
	}
	calls := make(chan call, 1)
	s := b.subscribe(t, b.config(), func(_ context.Context, msg *resiliencyv1.JobEvent, meta messaging.Meta) error {
		calls <- call{msg, meta}
		return nil
	})
	id := b.put(t, event("e-1"))
	got := receive(t, calls, "the handler")
	if diff := cmp.Diff(event("e-1"), got.msg, protocmp.Transform()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	attributes := map[string]string{"event_id": "e-1", "job_id": "j-1", "correlation_id": "c-1", "type": eventType}
	want := messaging.Meta{
		MessageID: id, EventID: "e-1", JobID: "j-1", CorrelationID: "c-1", Type: eventType,
		Subscription: topology.SubscriptionJobEventsStatusUpdater, DeliveryAttempt: 1, Attributes: attributes,
		PublishTime: got.meta.PublishTime,
	}
	if diff := cmp.Diff(want, got.meta); diff != "" || time.Since(got.meta.PublishTime) > time.Minute {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	b.acked(t, id)
	if err := s.end(t); err != nil {
		t.Errorf("Run = %v", err)
	}
	if n := b.received(t, "acked"); n != 1 || b.log.String() != "" {
		t.Errorf("%d counted as acked, log %q", n, b.log.String())
	}
	if n := b.value(t, "resiliency_message_handle_seconds"); n != 1 {
		t.Errorf("%v observations of the handle time", n)
	}
	if n := b.value(t, "resiliency_messages_in_flight"); n != 0 {
		t.Errorf("%v in flight after the end", n)
	}
}

func TestSubscriber_PermanentGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reason := "job j-1 is wrong: " + strings.Repeat("ü", 1000)
	b.subscribe(t, b.config(), func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
		return fmt.Errorf("apply: %w", resilience.Permanent(errors.New(reason)))
	})
	data, err := proto.Marshal(event("e-1"))
	if err != nil {
		t.Fatal(err)
	}
	original := map[string]string{"event_id": "e-1", "job_id": "j-1", "type": eventType, "foreign": "kept"}
	id := b.Put(t, topology.TopicJobEvents, data, original)
	letter := b.letter(t)
	if string(letter.GetData()) != string(data) {
		t.Errorf("data changed: %x, want %x", letter.GetData(), data)
	}
	got := maps.Clone(letter.GetAttributes())
	if cut := got["dead_letter_reason"]; len(cut) < 1000 || len(cut) > 1024 || !strings.HasPrefix("apply: "+reason, cut) {
		t.Errorf("reason of %d bytes: %.60s", len(cut), cut)
	}
	if at, err := time.Parse(time.RFC3339Nano, got["dead_letter_publish_time"]); err != nil || time.Since(at) > time.Minute {
		t.Errorf("publish time %q", got["dead_letter_publish_time"])
	}
	delete(got, "dead_letter_reason")
	delete(got, "dead_letter_publish_time")
	want := maps.Clone(original)
	maps.Copy(want, map[string]string{
		"dead_letter_category": "permanent", "dead_letter_subscription": topology.SubscriptionJobEventsStatusUpdater,
		"dead_letter_message_id": id, "dead_letter_attempts": "1",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	b.acked(t, id)
	if n := b.received(t, "dead_lettered"); n != 1 {
		t.Errorf("%d counted as dead_lettered", n)
	}
	b.line(t, `"level":"error"`, `"outcome":"dead_lettered"`, `"message_id":"`+id, `"event_id":"e-1"`, `"job_id":"j-1"`,
		`"subscription":"job-events-status-updater"`, `"delivery_attempt":1`, `"category":"permanent"`)
}

func TestSubscriber_FailingDeadLetterPublishNacks(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Publish")
	b := newBench(t, fault)
	id := b.put(t, event("e-1"))
	fault.Set(func(req any) error {
		if strings.HasSuffix(req.(*pubsubpb.PublishRequest).GetTopic(), topology.TopicDeadLetters) {
			return status.Error(codes.NotFound, "no such topic")
		}
		return nil
	})
	tries := make(chan int, 10)
	b.subscribe(t, b.config(), func(_ context.Context, _ *resiliencyv1.JobEvent, meta messaging.Meta) error {
		if meta.DeliveryAttempt == 2 {
			fault.Clear()
		}
		tries <- meta.DeliveryAttempt
		return resilience.Permanent(errors.New("bad"))
	})
	receive(t, tries, "the first try")
	receive(t, tries, "the second try")
	letter := b.letter(t)
	if letter.GetAttributes()["dead_letter_attempts"] != "2" {
		t.Errorf("attributes %v", letter.GetAttributes())
	}
	b.acked(t, id)
	if nacked, moved := b.received(t, "nacked"), b.received(t, "dead_lettered"); nacked != 1 || moved != 1 {
		t.Errorf("nacked %d, dead_lettered %d, want one of each", nacked, moved)
	}
	b.line(t, `"outcome":"nacked"`, "move message "+id+" to the dead letters", "no such topic", "bad")
}

func TestSubscriber_OtherErrorsNack(t *testing.T) {
	t.Parallel()
	failures := map[string]func(t *testing.T) error{
		"retryable":  func(*testing.T) error { return errors.New("conflict") },
		"dependency": func(*testing.T) error { return status.Error(codes.Unavailable, "firestore is away") },
		"panic":      func(*testing.T) error { panic("index out of range") },
		"goexit":     func(*testing.T) error { runtime.Goexit(); return nil },
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			attempts := make(chan int, 2)
			b.subscribe(t, b.config(), func(_ context.Context, _ *resiliencyv1.JobEvent, meta messaging.Meta) error {
				attempts <- meta.DeliveryAttempt
				if meta.DeliveryAttempt == 1 {
					return failure(t)
				}
				return nil
			})
			id := b.put(t, event("e-1"))
			for want := range 2 {
				if got := receive(t, attempts, "a delivery"); got != want+1 {
					t.Errorf("attempt %d, want %d", got, want+1)
				}
			}
			b.acked(t, id)
			if n := b.received(t, "nacked"); n != 1 {
				t.Errorf("%d counted as nacked", n)
			}
			b.line(t, `"outcome":"nacked"`, `"message_id":"`+id)
			if name == "panic" {
				b.line(t, `"panic":"index out of range"`, "ackrule_test.go")
			}
		})
	}
}

func TestSubscriber_LastAttemptTellsWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := messaging.NewSubscriber(b.Client, b.publisher, b.config(),
		func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
			return resilience.Dependency("firestore", errors.New("commit refused"))
		}, b.reg, b.logger())
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	id := b.put(t, event("e-1"))
	got := b.letter(t).GetAttributes()
	for key, want := range map[string]string{
		"dead_letter_category": "dependency", "dead_letter_dependency": "firestore", "dead_letter_reason": "commit refused",
		"dead_letter_attempts": "5", "dead_letter_subscription": topology.SubscriptionJobEventsStatusUpdater,
	} {
		if got[key] != want {
			t.Errorf("attribute %s = %q, want %q", key, got[key], want)
		}
	}
	b.acked(t, id)
	if n := b.received(t, "nacked"); n != 4 {
		t.Errorf("%d counted as nacked, want 4", n)
	}
	if n := b.received(t, "dead_lettered"); n != 1 {
		t.Errorf("%d counted as dead_lettered, want 1", n)
	}
}

func TestSubscriber_Undecodable(t *testing.T) {
	t.Parallel()
	good, err := proto.Marshal(event("e-1"))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name       string
		data       []byte
		attributes map[string]string
		reason     string
	}{
		{"garbage", []byte("\xff\xff\xff not protobuf"), map[string]string{"type": eventType}, "decode " + eventType},
		{"invalid_utf8", []byte{0x0a, 0x02, 0xff, 0xfe}, map[string]string{"type": eventType}, "UTF-8"},
		{"wrong_type", good, map[string]string{"type": "envision.resiliency.v1.JobUpdate"}, `"envision.resiliency.v1.JobUpdate"`},
		{"empty", nil, map[string]string{"type": eventType}, "empty"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var called atomic.Bool
			b.subscribe(t, b.config(), func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
				called.Store(true)
				return nil
			})
			id := b.Put(t, topology.TopicJobEvents, tc.data, tc.attributes)
			letter := b.letter(t)
			if got := letter.GetAttributes()["dead_letter_reason"]; !strings.Contains(got, tc.reason) {
				t.Errorf("reason %q, want %q in it", got, tc.reason)
			}
			if string(letter.GetData()) != string(tc.data) || letter.GetAttributes()["dead_letter_category"] != "permanent" {
				t.Errorf("letter %v", letter)
			}
			b.acked(t, id)
			if n := b.received(t, "undecodable"); n != 1 || called.Load() || b.Deliveries(id) != 1 {
				t.Errorf("undecodable %d, handler called %v, deliveries %d", n, called.Load(), b.Deliveries(id))
			}
		})
	}
}

func TestSubscriber_TypeAttributeMayBeMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := make(chan string, 1)
	b.subscribe(t, b.config(), func(_ context.Context, msg *resiliencyv1.JobEvent, _ messaging.Meta) error {
		ids <- msg.GetEventId()
		return nil
	})
	data, err := proto.Marshal(event("e-1"))
	if err != nil {
		t.Fatal(err)
	}
	id := b.Put(t, topology.TopicJobEvents, data, nil)
	if got := receive(t, ids, "the handler"); got != "e-1" {
		t.Errorf("event %q", got)
	}
	b.acked(t, id)
}

func TestSubscriber_HandleTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cfg := b.config()
	cfg.HandleTimeout = 20 * time.Millisecond
	b.subscribe(t, cfg, func(ctx context.Context, _ *resiliencyv1.JobEvent, meta messaging.Meta) error {
		if meta.DeliveryAttempt > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	b.acked(t, b.put(t, event("e-1")))
	if n := b.received(t, "nacked"); n != 1 {
		t.Errorf("%d nacked", n)
	}
}

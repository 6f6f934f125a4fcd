package messaging_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, messagingtest.LeakOptions()...)
}

const (
	eventType = "envision.resiliency.v1.JobEvent"
	patience  = 20 * time.Second
)

func event(id string) *resiliencyv1.JobEvent {
	return &resiliencyv1.JobEvent{EventId: id, JobId: "j-1", CorrelationId: "c-1", Attempt: 1}
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bench is a fake Pub/Sub with a publisher and what a test looks at.
type bench struct {
	*messagingtest.Broker
	publisher *messaging.Publisher
	reg       *prometheus.Registry
	log       *buffer
}

func newBench(t *testing.T, faults ...*messagingtest.Fault) *bench {
	t.Helper()
	b := newBareBench(t, faults...)
	b.Provision(t)
	return b
}

func newBareBench(t *testing.T, faults ...*messagingtest.Fault) *bench {
	t.Helper()
	b := &bench{reg: prometheus.NewRegistry(), log: &buffer{}}
	var broker *messagingtest.Broker
	switch len(faults) {
	case 0:
		broker = messagingtest.NewBare(t)
	default:
		broker = messagingtest.NewBare(t, faults[0].Option())
	}
	b.Broker = broker
	b.publisher = messaging.NewPublisher(broker.Client, messaging.PublisherConfig{Timeout: 2 * time.Second}, b.reg, b.logger())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.publisher.Close(ctx); err != nil {
			t.Errorf("close publisher: %v", err)
		}
	})
	return b
}

func (b *bench) logger() zerolog.Logger {
	return zerolog.New(b.log).Hook(service.TraceHook{ProjectID: "p"})
}

func (b *bench) config() messaging.Config {
	return messaging.Config{
		Subscription: topology.SubscriptionJobEventsStatusUpdater,
		RetryDelay:   20 * time.Millisecond,
	}
}

// running is a Subscriber at work.
type running struct {
	*messaging.Subscriber
	stop func()
	done chan error
}

func (b *bench) subscribe(t *testing.T, cfg messaging.Config, h messaging.Handler[*resiliencyv1.JobEvent]) *running {
	t.Helper()
	return run(t, messaging.NewSubscriber(b.Client, b.publisher, cfg, h, b.reg, b.logger()))
}

func run(t *testing.T, s *messaging.Subscriber) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Subscriber: s, stop: cancel, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

// end stops the subscriber and returns what Run returned.
func (r *running) end(t *testing.T) error {
	t.Helper()
	r.stop()
	return receive(t, r.done, "Run to return")
}

func (b *bench) put(t *testing.T, msg proto.Message) string {
	t.Helper()
	e, err := messaging.Encode(msg)
	if err != nil {
		t.Fatal(err)
	}
	return b.Put(t, e.Topic, e.Data, e.Attributes)
}

// letter waits for the next dead letter.
func (b *bench) letter(t *testing.T) *pubsubpb.PubsubMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return b.Next(ctx, t, topology.SubscriptionDeadLettersDLQHandler)
}

// receive waits for a value on c.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

func (b *bench) acked(t *testing.T, id string) {
	t.Helper()
	eventually(t, "ack of "+id, func() bool { return b.Acks(id) == 1 })
}

// value reads a counter, a gauge or the count of a histogram.
func (b *bench) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && hasLabels(m, labels) {
				switch {
				case m.GetCounter() != nil:
					return m.GetCounter().GetValue()
				case m.GetGauge() != nil:
					return m.GetGauge().GetValue()
				default:
					return float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return 0
}

func hasLabels(m *dto.Metric, values []string) bool {
	for _, value := range values {
		found := false
		for _, pair := range m.GetLabel() {
			found = found || pair.GetValue() == value
		}
		if !found {
			return false
		}
	}
	return true
}

func (b *bench) received(t *testing.T, outcome string) int {
	t.Helper()
	return int(b.value(t, "resiliency_messages_received_total", outcome))
}

// line returns the one log line that contains all the words.
func (b *bench) line(t *testing.T, words ...string) string {
	t.Helper()
	for line := range strings.Lines(b.log.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return line
		}
	}
	t.Errorf("no log line with %q in:\n%s", words, b.log.String())
	return ""
}

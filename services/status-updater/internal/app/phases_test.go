package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/status-updater/internal/consume"
)

// silent is a consume.Sources that keeps nothing.
type silent struct{}

func (silent) Claim(job.Source, bool) {}
func (silent) Heard(job.Source)       {}

// phaseOfWitness is an entry of the log with a phase of the witness.
func phaseOfWitness(id string) []byte {
	return fmt.Appendf(nil, `{"resource":{"type":"k8s_container","labels":{"namespace_name":"resiliency","container_name":"witness"}},
		"jsonPayload":{"phase_event":{"event_id":%q,"job_id":"j-1","attempt":1,"occurred_at":%q,"name":"n","started":{}}}}`,
		id, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
}

// While the topic of phases is missing, a phase of the log costs no attempt and
// so never ends among the dead letters; other entries are handled meanwhile.
func TestPhases_WaitInHandForTheirTopic(t *testing.T) {
	t.Parallel()
	const patience = 30 * time.Second
	b := messagingtest.New(t)
	reg := prometheus.NewRegistry()
	publisher := messaging.NewPublisher(b.Client, messaging.PublisherConfig{}, nil, zerolog.Nop())
	defer func() { _ = publisher.Close(context.Background()) }()
	gate := resilience.NewBreaker("firestore", resilience.BreakerConfig{}, reg, zerolog.Nop())
	handler := consume.New(consume.Parts{
		Breaker: gate, Phases: newPhases(t.Context(), publisher, reg, zerolog.Nop()), Sources: silent{},
		Trust:   logentry.Trust{Namespace: "resiliency", Container: "witness"},
		Metrics: consume.NewMetrics(nil), Now: time.Now, Log: zerolog.Nop(),
	})
	subscriber := messaging.NewRawSubscriber(b.Client, publisher, messaging.Config{
		Subscription: topology.SubscriptionJobLogEntriesStatusUpdater, Gate: gate,
	}, handler.HandleLogEntry, nil, zerolog.Nop())

	topic := topology.TopicName(b.ProjectID, topology.TopicJobPhases)
	if err := b.Client.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: topic}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- subscriber.Run(ctx) }()
	defer func() { stop(); <-ended }()
	wait := func(what string, condition func() bool) {
		t.Helper()
		deadline := time.After(patience)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !condition() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("waited %s for %s", patience, what)
			}
		}
	}
	var phases []string
	for n := range 3 {
		phases = append(phases, b.Put(t, topology.TopicJobLogEntries, phaseOfWitness(fmt.Sprint("p-", n)), nil))
	}
	wait("the phases to be in hand", func() bool {
		return b.Deliveries(phases[0])+b.Deliveries(phases[1])+b.Deliveries(phases[2]) >= 3
	})
	other := b.Put(t, topology.TopicJobLogEntries, []byte(`{"textPayload":"hello"}`), nil)
	wait("another entry to be handled", func() bool { return b.Acks(other) == 1 })
	// Longer than what a fault of one message is tried in hand.
	<-time.After(2 * time.Second)
	if _, err := b.Client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	for _, id := range phases {
		wait("a phase to be passed on", func() bool { return b.Acks(id) == 1 })
		if n := b.Deliveries(id); n != 1 {
			t.Errorf("message %s was delivered %d times", id, n)
		}
	}
	count := map[string]int{}
	for _, m := range b.Server.Messages() {
		count[m.Topic[strings.LastIndex(m.Topic, "/")+1:]]++
	}
	if count[topology.TopicJobPhases] != 3 || count[topology.TopicDeadLetters] != 0 {
		t.Errorf("messages by topic %v", count)
	}
}

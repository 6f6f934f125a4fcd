//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// sent is what a project has told of its jobs, each message once.
type sent struct {
	mu       sync.Mutex
	contents map[string][]byte // by event id
	topics   map[string]string // alike
	updates  map[string][]*resiliencyv1.JobUpdate
	phases   map[string][]*resiliencyv1.PhaseEvent
	commands map[string][]*resiliencyv1.JobCommand
	wrong    []string
}

func newSent() *sent {
	return &sent{
		contents: map[string][]byte{}, topics: map[string]string{}, updates: map[string][]*resiliencyv1.JobUpdate{},
		phases: map[string][]*resiliencyv1.PhaseEvent{}, commands: map[string][]*resiliencyv1.JobCommand{},
	}
}

// toldBy are the topics by which recovery-job speaks, with the subscriptions that
// listen to them.
func toldBy() map[string]string {
	return map[string]string{
		topology.TopicJobUpdates:  topology.SubscriptionJobUpdatesProduct,
		topology.TopicJobPhases:   topology.SubscriptionJobPhasesPhaseTracer,
		topology.TopicJobCommands: topology.SubscriptionJobCommandsProduct,
	}
}

// collectSent receives all of it until the test ends.
func (s *system) collectSent() *sent {
	s.t.Helper()
	c := newSent()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, len(toldBy()))
	for topic, subscription := range toldBy() {
		go func() {
			done <- s.pubsub.Subscriber(subscription).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
				c.take(topic, m.Data)
				m.Ack()
			})
		}()
	}
	s.t.Cleanup(func() {
		cancel()
		for range toldBy() {
			if err := <-done; err != nil {
				s.t.Errorf("receive what is told: %v", err)
			}
		}
	})
	return c
}

// outbox is what waits to be told.
func (s *system) outbox() *sent {
	s.t.Helper()
	docs, err := s.firestore.Collection("outbox").Documents(s.t.Context()).GetAll()
	if err != nil {
		s.t.Fatalf("read the outbox: %v", err)
	}
	c := newSent()
	for _, doc := range docs {
		c.take(field[string](doc, "topic"), field[[]byte](doc, "payload"))
	}
	return c
}

func (c *sent) take(topic string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var id string
	var keep func()
	var err error
	switch topic {
	case topology.TopicJobUpdates:
		m := new(resiliencyv1.JobUpdate)
		err = proto.Unmarshal(data, m)
		id, keep = m.GetEventId(), func() { c.updates[m.GetJobId()] = append(c.updates[m.GetJobId()], m) }
	case topology.TopicJobPhases:
		m := new(resiliencyv1.PhaseEvent)
		err = proto.Unmarshal(data, m)
		id, keep = m.GetEventId(), func() { c.phases[m.GetJobId()] = append(c.phases[m.GetJobId()], m) }
	case topology.TopicJobCommands:
		m := new(resiliencyv1.JobCommand)
		err = proto.Unmarshal(data, m)
		id, keep = m.GetEventId(), func() { c.commands[m.GetJobId()] = append(c.commands[m.GetJobId()], m) }
	default:
		err = fmt.Errorf("a message for topic %q", topic)
	}
	before, again := c.contents[id]
	switch {
	case err != nil:
		c.wrong = append(c.wrong, err.Error())
	case again && !bytes.Equal(before, data):
		c.wrong = append(c.wrong, "two contents under id "+id)
	case !again:
		c.contents[id], c.topics[id] = data, topic
		keep()
	}
}

// number is how many different messages there are.
func (c *sent) number() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.contents)
}

// await waits until all that was published has come, and returns it. It was
// published once: nothing beside it is on the topics.
func (c *sent) await(s *system, messages int) *sent {
	s.t.Helper()
	s.eventually("all that is told", func() (bool, string) {
		return c.number() >= messages, fmt.Sprintf("%d of %d messages", c.number(), messages)
	})
	published := int64(0)
	for topic := range toldBy() {
		published += shared.PubSub.Counts(s.ID).Published[topic]
	}
	if published != int64(messages) || c.number() != messages {
		s.t.Errorf("%d messages were published, %d of them different, want %d", published, c.number(), messages)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) > 0 {
		s.t.Errorf("wrong messages: %v", c.wrong)
	}
	return c
}

// ids are those of all messages so far.
func (c *sent) ids() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]bool{}
	for id := range c.contents {
		all[id] = true
	}
	return all
}

// without is what was told beside the messages that are known.
func (c *sent) without(known map[string]bool) *sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := newSent()
	for id, data := range c.contents {
		if !known[id] {
			rest.take(c.topics[id], data)
		}
	}
	return rest
}

// kindOf is the kind of an update by the name of its field, "" for no update.
func kindOf(u *resiliencyv1.JobUpdate) string {
	field := u.ProtoReflect().WhichOneof(u.ProtoReflect().Descriptor().Oneofs().ByName("event"))
	if field == nil {
		return ""
	}
	return string(field.Name())
}

//go:build integration

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// autoAfter is how long a dependency must be healthy before its letters are sent.
const autoAfter = 3 * time.Second

// Letters that died of a dependency are replayed by themselves: one at first,
// and no more as long as that one dies again; when it does not, all of them.
// Those of another category are left to people.
func TestAutomaticReplay(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "auto")
	const letters = 12
	stop, died := s.dieAgain()
	s.startHandler("AUTO_REPLAY_AFTER="+autoAfter.String(), "AUTO_REPLAY_EVERY=500ms", "AUTO_REPLAY_RATE=20", "AUTO_REPLAY_MAX=100")
	for i := range letters {
		s.die(fact(fmt.Sprintf("a-%d", i), succeeded), "dependency", "Firestore does not answer", "dead_letter_dependency", "firestore")
	}
	s.die(fact("other", succeeded), "retryable", "the record kept changing")
	s.awaitHandled(letters + 1)

	begun, first := time.Now(), died.Load()
	s.eventually("two replayed letters to die again", func() (bool, string) {
		return died.Load()-first >= 2, formatFloat(float64(died.Load()))
	})
	// One when the dependency is healthy, and one for each spell without a death.
	if most := int64(time.Since(begun)/autoAfter) + 1; died.Load() > most {
		t.Errorf("%d letters were sent in %s though each one died again; want %d at most", died.Load(), time.Since(begun), most)
	}
	if n := s.counted(handler, "dlq_handler_auto_replay_decisions_total",
		map[string]string{"dependency": "firestore", "decision": "died_recently"}); n == 0 {
		t.Error("no decision says that a letter has died again")
	}
	for _, l := range s.listed(url.Values{"state": {"ANY"}, "category": {"dependency"}}) {
		if l.Replays > 0 && (l.Episode != l.Replays+1 || l.State != "OPEN") {
			// One may be on its way at this moment.
			s.awaitLetter(l.JobID, "to be open again", func(l *letter) bool { return l.State == "OPEN" && l.Episode == l.Replays+1 })
		}
	}

	stop()
	s.start(stack.ServiceSpec{Name: updater})
	for i := range letters {
		s.awaitState(fmt.Sprintf("a-%d", i), drive.Succeeded)
	}
	s.eventually("all of them to be replayed", func() (bool, string) {
		n := len(s.listed(url.Values{"state": {"REPLAYED"}, "category": {"dependency"}}))
		return n == letters, formatFloat(float64(n))
	})
	if l := s.awaitLetter("other", "to be open", finished); l.Replays != 0 {
		t.Error("a letter that did not die of a dependency was replayed by itself")
	}
}

// dieAgain is a reader of job-events that loses every message to Firestore: it
// puts each among the dead letters, as messaging does. It counts them, until stop.
func (s *system) dieAgain() (stop func(), died *atomic.Int64) {
	s.t.Helper()
	died = new(atomic.Int64)
	publisher := s.pubsub.Publisher(topology.TopicDeadLetters)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(topology.SubscriptionJobEventsStatusUpdater).Receive(ctx, func(ctx context.Context, m *pubsub.Message) {
			attributes := death(topology.SubscriptionJobEventsStatusUpdater, "dependency", "Firestore does not answer")
			attributes["dead_letter_dependency"] = "firestore"
			maps.Copy(attributes, m.Attributes)
			if _, err := publisher.Publish(ctx, &pubsub.Message{Data: m.Data, Attributes: attributes}).Get(ctx); err != nil {
				m.Nack()
				return
			}
			if strings.HasPrefix(m.Attributes[topology.AttributeReplayTarget], topology.TopicJobEvents) {
				died.Add(1)
			}
			m.Ack()
		})
	}()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive events: %v", err)
		}
		publisher.Stop()
	}
	s.t.Cleanup(stop)
	return stop, died
}

//go:build integration

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

// outageFor is how long a dependency stays away.
func outageFor() time.Duration {
	if soak() {
		return 60 * time.Second
	}
	return 15 * time.Second
}

// outage takes a dependency of one project away and gives it back.
type outage struct {
	begin func() error
	end   func() error
}

func cut(p *proxy.Proxy, project string) outage {
	var remove func()
	return outage{
		begin: func() error { remove = p.Inject(proxy.Fault{Project: project, Cut: true}); return nil },
		end:   func() error { remove(); return nil },
	}
}

func paused(t *testing.T, name string) outage {
	t.Helper()
	part, err := shared.Part(name)
	if err != nil {
		t.Fatal(err)
	}
	return outage{begin: part.Pause, end: part.Resume}
}

// stopsPullingWithin is how soon after the loss of Firestore nothing new is
// taken from Pub/Sub.
const stopsPullingWithin = 5 * time.Second

// firestoreOutage runs Jobs, takes Firestore away in the middle, and expects
// that work pauses: nothing is pulled, no message is delivered more than twice,
// nothing dies, and in the end every record is right.
func firestoreOutage(t *testing.T, prefix string, of func(*system) outage) {
	s := newSystem(t, prefix, streamer)
	s.start(stack.ServiceSpec{Name: updater, Env: []string{"LOG_LEVEL=debug", "MAX_OUTSTANDING=32"}})
	jobs, pace := 150, 10.0
	if soak() {
		jobs, pace = 1000, 20
	}
	d := s.drive(drive.Plan{Prefix: "f", Scenarios: drive.Standard(jobs), PerSecond: pace})
	o := of(s)
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.4}, func() error {
		if err := o.begin(); err != nil {
			return err
		}
		pass(t, stopsPullingWithin)
		before, delivered := s.takenInHand(), s.delivered()
		pass(t, outageFor()-stopsPullingWithin)
		if before == 0 {
			t.Error("nothing was taken in hand before, so the outage shows nothing")
		}
		if after := s.takenInHand(); after > before {
			t.Errorf("%g messages were taken in hand more than %s after Firestore was gone", after-before, stopsPullingWithin)
		}
		if n := s.delivered() - delivered; n > 0 {
			t.Errorf("%d messages were pulled more than %s after Firestore was gone", n, stopsPullingWithin)
		}
		return o.end()
	}))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
	if n := highestAttempt(t, s.services[updater].LogPath()); n < 1 || n > 2 {
		t.Errorf("a message was delivered %d times, want at most 2", n)
	}
	s.expectNoDeadLetters()
}

// takenInHand is how many messages status-updater has begun to handle.
func (s *system) takenInHand() float64 {
	subscription := map[string]string{"subscription": topology.SubscriptionJobEventsStatusUpdater}
	return s.metric(updater, "resiliency_messages_received_total", subscription) +
		s.metric(updater, "resiliency_messages_in_flight", subscription)
}

func (s *system) delivered() int64 {
	return shared.PubSub.Counts(s.ID).Delivered[topology.SubscriptionJobEventsStatusUpdater]
}

// highestAttempt reads from a log which delivery attempt was the highest; 0
// means that none was logged.
func highestAttempt(t *testing.T, path string) int {
	t.Helper()
	highest := 0
	eachLine(t, path, func(line struct {
		Attempt int `json:"delivery_attempt"`
	},
	) {
		highest = max(highest, line.Attempt)
	})
	return highest
}

// eachLine reads the JSON lines of a service's log. What is no JSON is left out:
// the last line may be half written.
func eachLine[T any](t *testing.T, path string, do func(T)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line T
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			do(line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// expectNoDeadLetters looks for dead letters of the whole project. A letter
// published now must be the first that comes.
func (s *system) expectNoDeadLetters() {
	s.t.Helper()
	p := s.pubsub.Publisher(topology.TopicDeadLetters)
	defer p.Stop()
	const marker = "marker"
	if _, err := p.Publish(s.t.Context(), &pubsub.Message{Data: []byte(marker), Attributes: map[string]string{"event_id": marker}}).Get(s.t.Context()); err != nil {
		s.t.Fatalf("publish the marker: %v", err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	letters := make(chan *pubsub.Message, 1000)
	err := s.pubsub.Subscriber(topology.SubscriptionDeadLettersDLQHandler).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		letters <- m
		if string(m.Data) == marker {
			cancel()
		}
	})
	if err != nil {
		s.t.Fatalf("receive dead letters: %v", err)
	}
	close(letters)
	found := false
	for m := range letters {
		if string(m.Data) == marker {
			found = true
			continue
		}
		s.t.Errorf("a message died: %v", m.Attributes)
	}
	if !found {
		s.t.Error("the marker did not come, so nothing is known of dead letters")
	}
}

func TestFirestoreCut(t *testing.T) {
	t.Parallel()
	firestoreOutage(t, "fscut", func(s *system) outage { return cut(shared.Firestore, s.ID) })
}

// Not parallel: the emulator stops for everybody.
func TestFirestorePaused(t *testing.T) { //nolint:paralleltest // it stops what the other tests use
	firestoreOutage(t, "fspause", func(*system) outage { return paused(t, stack.PartFirestore) })
}

// pubsubOutage runs Jobs, takes Pub/Sub away in the middle, and expects that
// nothing is lost.
func pubsubOutage(t *testing.T, prefix string, of func(*system) outage) {
	s := newSystem(t, prefix, updater, streamer)
	jobs, pace := 150, 10.0
	if soak() {
		jobs, pace = 1000, 20
	}
	d := s.drive(drive.Plan{Prefix: "p", Scenarios: drive.Standard(jobs), PerSecond: pace})
	o := of(s)
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.4}, func() error {
		if err := o.begin(); err != nil {
			return err
		}
		pass(t, outageFor())
		return o.end()
	}))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
	s.expectNoDeadLetters()
}

func TestPubSubCut(t *testing.T) {
	t.Parallel()
	pubsubOutage(t, "pscut", func(s *system) outage { return cut(shared.PubSub, s.ID) })
}

// Not parallel: the emulator stops for everybody.
func TestPubSubPaused(t *testing.T) { //nolint:paralleltest // it stops what the other tests use
	pubsubOutage(t, "pspause", func(*system) outage { return paused(t, stack.PartPubSub) })
}

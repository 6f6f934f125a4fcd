package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outbox is an Outbox in memory.
type outbox struct {
	mu         sync.Mutex
	entries    map[string]jobstore.Entry
	unreadable []error
	listErr    error
	deleteErr  error
	deletes    []int // size of each delete
}

func (o *outbox) commit(entries ...jobstore.Entry) []jobstore.Entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range entries {
		o.entries[e.ID] = e
	}
	return entries
}

func (o *outbox) PendingEntries(_ context.Context, after string, limit int) (jobstore.OutboxPage, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	page := jobstore.OutboxPage{Unreadable: o.unreadable}
	for _, id := range slices.Sorted(maps.Keys(o.entries)) {
		if id > after && len(page.Entries) < limit {
			page.Entries = append(page.Entries, o.entries[id])
		}
	}
	if len(page.Entries) == limit {
		page.Next = page.Entries[limit-1].ID
	}
	return page, o.listErr
}

func (o *outbox) DeleteEntries(ctx context.Context, ids []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.deleteErr); err != nil {
		return err
	}
	o.deletes = append(o.deletes, len(ids))
	for _, id := range ids {
		delete(o.entries, id)
	}
	return nil
}

func (o *outbox) ids() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.entries))
}

// broker is a Publisher that keeps what it is sent.
type broker struct {
	mu   sync.Mutex
	sent map[string]int // by event id
	// answer decides about a message; nil takes it.
	answer func(ctx context.Context, id string) error
}

func (b *broker) PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error {
	id := attributes["event_id"]
	if !slices.Contains([]string{"job-updates", "job-commands"}, topic) || string(data) != "payload of "+id {
		panic(fmt.Sprintf("%s on %s carries %q", id, topic, data))
	}
	if b.answer != nil {
		if err := b.answer(ctx, id); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[id]++
	return nil
}

func (b *broker) total() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.sent)
}

func entries(n int, at time.Time) []jobstore.Entry {
	out := make([]jobstore.Entry, n)
	for i := range out {
		id := fmt.Sprintf("id-%04d", i)
		out[i] = jobstore.Entry{
			ID: id, Topic: "job-updates", Type: "t", Payload: []byte("payload of " + id),
			Attributes: map[string]string{"event_id": id}, CreatedAt: at,
		}
	}
	return out
}

func once(entries []jobstore.Entry) map[string]int {
	want := map[string]int{}
	for _, e := range entries {
		want[e.ID] = 1
	}
	return want
}

// elapse lets time pass on the clock of a synctest bubble; nobody waits for it.
func elapse(d time.Duration) { time.Sleep(d) }

// settle lets time pass and then everything happen that is due by then.
func settle(d time.Duration) {
	elapse(d)
	synctest.Wait()
}

type bench struct {
	*Relay
	outbox *outbox
	broker *broker
	stop   context.CancelFunc
	ended  chan error
}

// start runs a relay inside a synctest bubble.
func start(t *testing.T, cfg Config) *bench {
	b := prepare(cfg)
	ctx, stop := context.WithCancel(t.Context())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() { b.ended <- b.Run(ctx) }()
	synctest.Wait() // the sweep at the start is over
	return b
}

func prepare(cfg Config) *bench {
	b := &bench{outbox: &outbox{entries: map[string]jobstore.Entry{}}, broker: &broker{sent: map[string]int{}}}
	b.Relay = New(b.outbox, b.broker, cfg, prometheus.NewRegistry(), zerolog.Nop())
	return b
}

func (b *bench) end(t *testing.T) {
	t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if len(b.inHand) != 0 {
		t.Errorf("%d entries still in hand", len(b.inHand))
	}
}

func (b *bench) left(reason string) float64 {
	return testutil.ToFloat64(b.metrics.left.WithLabelValues(reason))
}

func TestRelay_SendsAtOnceAndDeletesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{})
		all := b.outbox.commit(entries(700, time.Now())...)
		b.Offer(all)
		synctest.Wait()
		if diff := cmp.Diff(once(all), b.broker.total()); diff != "" {
			t.Errorf("sent without a wait (-want +got):\n%s", diff)
		}
		settle(time.Second)
		if left := b.outbox.ids(); len(left) != 0 {
			t.Errorf("left in the outbox: %v", left)
		}
		if diff := cmp.Diff([]int{300, 300, 100}, b.outbox.deletes); diff != "" {
			t.Errorf("deletes (-want +got):\n%s", diff)
		}
		b.end(t)
	})
}

func TestRelay_OfferNeverBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Workers: 2, Queue: 3})
		gate := make(chan struct{})
		b.broker.answer = func(context.Context, string) error { <-gate; return nil }
		all := b.outbox.commit(entries(10, time.Now())...)
		b.Offer(all[:2])
		synctest.Wait() // both workers hang in Pub/Sub
		b.Offer(all[2:])
		if got := b.left(leftFull); got != 5 {
			t.Errorf("%v left for lack of room, want 5", got)
		}
		close(gate)
		settle(2 * time.Minute)
		if diff := cmp.Diff(once(all), b.broker.total()); diff != "" {
			t.Errorf("after the sweep (-want +got):\n%s", diff)
		}
		b.end(t)
	})
}

func TestRelay_SweepSendsWhatAnOutageLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Page: 7})
		var up atomic.Bool
		b.broker.answer = func(context.Context, string) error {
			if !up.Load() {
				return resilience.Dependency("pubsub", errors.New("down"))
			}
			return nil
		}
		all := b.outbox.commit(entries(20, time.Now())...)
		b.Offer(all)
		settle(5 * time.Minute)
		if n := len(b.broker.total()); n != 0 || len(b.outbox.ids()) != 20 || b.left(leftFailed) != 20 {
			t.Errorf("sent %d, %d in the outbox, %v failed", n, len(b.outbox.ids()), b.left(leftFailed))
		}
		if oldest := testutil.ToFloat64(b.metrics.oldest); oldest < 180 {
			t.Errorf("oldest entry is said to be %v s old", oldest)
		}
		up.Store(true)
		settle(2 * time.Minute)
		if diff := cmp.Diff(once(all), b.broker.total()); diff != "" || len(b.outbox.ids()) != 0 {
			t.Errorf("in the outbox %v; sent (-want +got):\n%s", b.outbox.ids(), diff)
		}
		if oldest := testutil.ToFloat64(b.metrics.oldest); oldest != 0 {
			t.Errorf("oldest entry is said to be %v s old", oldest)
		}
		b.end(t)
	})
}

// A sweep beside a publish that hangs does not send the entry a second time.
func TestRelay_SweepLeavesWhatIsInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{})
		gate := make(chan struct{})
		b.broker.answer = func(context.Context, string) error { <-gate; return nil }
		all := b.outbox.commit(entries(3, time.Now())...)
		b.Offer(all)
		settle(10 * time.Minute)
		close(gate)
		settle(10 * time.Minute)
		if diff := cmp.Diff(once(all), b.broker.total()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		b.end(t)
	})
}

func TestRelay_RefusedForGoodLeavesTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{})
		b.broker.answer = func(_ context.Context, id string) error {
			if id == "id-0001" {
				return resilience.Permanent(errors.New("too large"))
			}
			return nil
		}
		b.Offer(b.outbox.commit(entries(3, time.Now())...))
		settle(time.Second)
		if left := b.outbox.ids(); len(left) != 0 || testutil.ToFloat64(b.metrics.refused) != 1 {
			t.Errorf("left %v, refused %v", left, testutil.ToFloat64(b.metrics.refused))
		}
		b.end(t)
	})
}

func TestRelay_DeleteThatFailsIsSweptAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{})
		b.outbox.mu.Lock()
		b.outbox.deleteErr = errors.New("down")
		b.outbox.mu.Unlock()
		b.Offer(b.outbox.commit(entries(2, time.Now())...))
		settle(time.Second)
		b.outbox.mu.Lock()
		b.outbox.deleteErr = nil
		b.outbox.mu.Unlock()
		settle(2 * time.Minute)
		want := map[string]int{"id-0000": 2, "id-0001": 2} // a repeat, under the same ids
		if diff := cmp.Diff(want, b.broker.total()); diff != "" || len(b.outbox.ids()) != 0 {
			t.Errorf("left %v; sent (-want +got):\n%s", b.outbox.ids(), diff)
		}
		if got := b.left(leftDelete); got != 2 {
			t.Errorf("%v not deleted", got)
		}
		b.end(t)
	})
}

func TestRelay_EndSendsWhatIsQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Workers: 1})
		b.broker.answer = func(context.Context, string) error { elapse(10 * time.Millisecond); return nil }
		all := b.outbox.commit(entries(50, time.Now())...)
		b.Offer(all)
		b.end(t)
		if diff := cmp.Diff(once(all), b.broker.total()); diff != "" || len(b.outbox.ids()) != 0 {
			t.Errorf("left %v; sent (-want +got):\n%s", b.outbox.ids(), diff)
		}
		b.Offer(all[:1])
		if b.left(leftClosed) != 1 || len(b.inHand) != 0 {
			t.Error("an entry offered after the end is not left to the sweep")
		}
	})
}

func TestRelay_EndTakesNoLongerThanTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Workers: 2, Drain: 3 * time.Second})
		b.broker.answer = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		b.Offer(b.outbox.commit(entries(9, time.Now())...))
		begin := time.Now()
		b.end(t)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("ended after %s", took)
		}
		if got := b.left(leftFailed) + b.left(leftClosed); got != 9 || len(b.outbox.ids()) != 9 {
			t.Errorf("%v left, %d in the outbox", got, len(b.outbox.ids()))
		}
	})
}

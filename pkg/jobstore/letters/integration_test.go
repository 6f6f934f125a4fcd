//go:build integration

package letters_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// The first calls of a fresh emulator are slow.
const patient = 20 * time.Second

// epoch is when the clocks of the tests begin.
var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// clock advances by a second each time that it is looked at.
type clock struct{ seconds atomic.Int64 }

func (c *clock) now() time.Time { return epoch.Add(time.Duration(c.seconds.Add(1)) * time.Second) }

// bench is a store in a project of the test's own.
type bench struct {
	*letters.Store
	db    *firestore.Client
	clock *clock
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "letters-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{db: c, clock: &clock{}}
	b.Store = letters.New(c, letters.Config{Timeout: patient, Claim: time.Minute, Now: b.clock.now}, nil)
	return b
}

// arrival is a letter as it comes; change makes it special.
func arrival(n int, change ...func(*letters.Arrival)) *letters.Arrival {
	payload := fmt.Appendf(nil, "payload %d", n)
	attributes := []letters.Attribute{{Key: "__reserved__", Value: "<b>"}, {Key: "job_id", Value: fmt.Sprintf("j-%d", n)}}
	a := &letters.Arrival{
		MessageID: uuid.NewString(), DiedAt: epoch,
		Letter: letters.Letter{
			ID:           letters.ID("job-events-status-updater", "", "", payload, attributes),
			Subscription: "job-events-status-updater", Topic: "job-events", Type: "envision.resiliency.v1.JobEvent",
			JobID: fmt.Sprintf("j-%d", n), Tenant: "t1", Reason: "because", Category: resilience.CategoryPermanent,
			Fingerprint: "f1", Attempts: 5, PublishedAt: epoch,
			Payload: payload, PayloadSize: int64(len(payload)), Attributes: attributes, Decoded: "{}",
		},
	}
	for _, f := range change {
		f(a)
	}
	return a
}

func none(*letters.Letter) ([]jobstore.Entry, error) { return nil, nil }

func (b *bench) put(t *testing.T, a *letters.Arrival, want letters.Placed) letters.Letter {
	t.Helper()
	l, placed, _, err := b.Put(t.Context(), a, none)
	if err != nil || placed != want {
		t.Fatalf("Put = %s, %v; want %s", placed, err, want)
	}
	return l
}

func TestStore_PutAndGet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := arrival(1)
	announced := func(l *letters.Letter) ([]jobstore.Entry, error) {
		return []jobstore.Entry{{ID: fmt.Sprintf("%s-%d", l.ID, l.Episode), Topic: "job-phases", Type: "x", Payload: []byte("p")}}, nil
	}
	put, placed, entries, err := b.Put(t.Context(), a, announced)
	if err != nil || placed != letters.PlacedNew || len(entries) != 1 {
		t.Fatalf("Put = %s, %d entries, %v", placed, len(entries), err)
	}
	got, err := b.Get(t.Context(), a.Letter.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(put, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("stored letter (-put +got):\n%s", diff)
	}
	if got.State != letters.StateOpen || got.Count != 1 || string(got.Payload) != "payload 1" || len(got.History) != 1 {
		t.Errorf("letter %+v", got)
	}
	if snap, err := b.db.Collection("outbox").Doc(entries[0].ID).Get(t.Context()); err != nil || snap.Data()["topic"] != "job-phases" {
		t.Errorf("outbox entry: %v, %v", snap, err)
	}
	// The same delivery again, and the same message dead once more.
	if l := b.put(t, a, letters.PlacedDelivered); l.Count != 1 || len(l.Pending) != 2 {
		t.Errorf("delivered again: %+v", l)
	}
	a.MessageID = "another"
	if l := b.put(t, a, letters.PlacedRepeat); l.Count != 2 || !l.LastSeenAt.After(l.FirstSeenAt) {
		t.Errorf("dead again: %+v", l)
	}
	for _, id := range []string{"none", "", "a/b", ".", "..", "__x__", strings.Repeat("x", 2000)} {
		if _, err := b.Get(t.Context(), id); err == nil {
			t.Errorf("Get(%.20q) found something", id)
		}
	}
	if _, err := b.Get(t.Context(), "none"); !errors.Is(err, letters.ErrNotFound) {
		t.Errorf("Get of none = %v", err)
	}
}

func TestStore_LargestLetterFits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := arrival(1, func(a *letters.Arrival) {
		a.Letter.Payload = slices.Repeat([]byte{0xff}, letters.MaxInlinePayload)
		a.Letter.Decoded = strings.Repeat("d", letters.MaxDecoded)
		a.Letter.Reason = strings.Repeat("r", 1024)
		a.Letter.Attributes = nil
		for i := range 100 {
			a.Letter.Attributes = append(a.Letter.Attributes, letters.Attribute{
				Key: fmt.Sprintf("%0256d", i), Value: strings.Repeat("v", 1024),
			})
		}
	})
	b.put(t, a, letters.PlacedNew)
	for n := range letters.MaxHistory + 5 {
		a.MessageID, a.Letter.Fingerprint = fmt.Sprint(n), fmt.Sprint(n) // each is a line in its history
		b.put(t, a, letters.PlacedRepeat)
	}
	l, err := b.Get(t.Context(), a.Letter.ID)
	if err != nil || len(l.History) != letters.MaxHistory || l.History[0].What != letters.EventCaptured || len(l.MessageIDs) != letters.MaxMessageIDs {
		t.Errorf("%d events, first %+v, %d message ids, %v", len(l.History), l.History[0], len(l.MessageIDs), err)
	}
}

func TestStore_ManyDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const deaths = 6
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for n := range deaths {
		wg.Go(func() {
			for range 3 { // each delivery comes three times
				a := arrival(1, func(a *letters.Arrival) { a.MessageID = fmt.Sprint(n) })
				for {
					_, placed, _, err := b.Put(context.Background(), a, none)
					if errors.Is(err, letters.ErrContended) {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					if placed == letters.PlacedNew {
						fresh.Add(1)
					}
					break
				}
			}
		})
	}
	wg.Wait()
	l, err := b.Get(t.Context(), arrival(1).Letter.ID)
	if err != nil || l.Count != deaths || fresh.Load() != 1 {
		t.Errorf("count %d of %d deaths, %d times new, %v", l.Count, deaths, fresh.Load(), err)
	}
}

func TestStore_TwoOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.put(t, arrival(1), letters.PlacedNew)
	var claims, refused atomic.Int64
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			_, err := b.Claim(context.Background(), l.ID, letters.Claim{By: fmt.Sprintf("op-%d", n)}, "mended")
			switch {
			case err == nil:
				claims.Add(1)
			case errors.Is(err, letters.ErrState):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if claims.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d claims, %d refused", claims.Load(), refused.Load())
	}
	audit, err := b.ListAudit(t.Context(), letters.AuditFilter{Target: l.ID}, nil, 10)
	if err != nil || len(audit.Entries) != 1 || audit.Entries[0].Outcome != letters.AuditBegun {
		t.Errorf("audit %+v, %v", audit, err)
	}
}

func TestStore_LifeOfALetter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := arrival(1)
	l := b.put(t, a, letters.PlacedNew)
	done := &letters.Cleanup{Action: "kept", Text: "nothing", At: epoch}
	if err := b.Finish(t.Context(), &l, []letters.Step{letters.StepCleanup, letters.StepNotify}, done, "t9"); err != nil {
		t.Fatal(err)
	}
	claimed, err := b.Claim(t.Context(), l.ID, letters.Claim{By: "ana"}, "mended")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := b.Confirm(t.Context(), &claimed)
	if err != nil || sent.State != letters.StateReplayed || sent.ExpiresAt.IsZero() || sent.Tenant != "t1" {
		t.Fatalf("Confirm = %+v, %v", sent, err)
	}
	// It dies again of the replay.
	a.MessageID, a.Replay, a.Letter.Reason = "second", 1, "still"
	again := b.put(t, a, letters.PlacedReopened)
	if again.State != letters.StateOpen || !again.ExpiresAt.IsZero() || again.Episode != 2 || len(again.Pending) != 2 {
		t.Errorf("reopened: %+v", again)
	}
	if _, err := b.Discard(t.Context(), l.ID, "ben", "no use"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Discard(t.Context(), l.ID, "ben", "again"); !errors.Is(err, letters.ErrState) {
		t.Errorf("discarded twice: %v", err)
	}
	a.MessageID = "third"
	final := b.put(t, a, letters.PlacedRepeat)
	var told []string
	for _, e := range final.History {
		told = append(told, e.What)
	}
	want := []string{"captured", "cleaned_up", "replay_began", "replayed", "died_again", "discarded"}
	if diff := cmp.Diff(want, told); diff != "" || final.State != letters.StateDiscarded || final.Count != 3 {
		t.Errorf("%s after %d deaths; history (-want +got):\n%s", final.State, final.Count, diff)
	}
	stored, err := b.Get(t.Context(), l.ID)
	if diff := cmp.Diff(final, stored, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("what is stored (-want +got), %v:\n%s", err, diff)
	}
	audit, err := b.ListAudit(t.Context(), letters.AuditFilter{}, nil, 10)
	if err != nil || len(audit.Entries) != 2 || audit.Entries[0].Action != "discard" || audit.Entries[1].Outcome != "sent" {
		t.Errorf("audit %+v, %v", audit, err)
	}
}

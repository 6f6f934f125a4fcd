//go:build integration

package leases_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/leases"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// patient is generous, since the first calls of a fresh emulator are slow.
const patient = 20 * time.Second

// clock is one that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return epoch.Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

func client(t *testing.T) *firestore.Client {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "leases-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func acquire(t *testing.T, s *leases.Store, holder string) *leases.Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), "work", holder)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLease_OneHolderAtATime(t *testing.T) {
	t.Parallel()
	c, now := client(t), &clock{}
	s := leases.New(c, leases.Config{TTL: time.Minute, Timeout: patient, Now: now.now})
	one := acquire(t, s, "one")
	var held *leases.HeldError
	if _, err := s.Acquire(t.Context(), "work", "two"); !errors.As(err, &held) || held.Holder != "one" || !held.Until.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("taken while it was held: %v", err)
	}
	now.advance(50 * time.Second)
	if err := one.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	now.advance(50 * time.Second)
	if _, err := s.Acquire(t.Context(), "work", "two"); !errors.As(err, &held) {
		t.Fatalf("taken although it was renewed: %v", err)
	}
	now.advance(10 * time.Second)
	two := acquire(t, s, "two")
	if two.Number() != one.Number()+1 {
		t.Errorf("tokens %d and %d", one.Number(), two.Number())
	}
	if err := one.Renew(t.Context()); !errors.Is(err, leases.ErrLost) {
		t.Errorf("renewed although it has passed on: %v", err)
	}
	if err := one.Release(t.Context()); err != nil {
		t.Errorf("to give up what is lost is no error: %v", err)
	}
	if err := two.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if three := acquire(t, s, "three"); three.Number() != 3 {
		t.Errorf("token %d", three.Number())
	}
}

func TestLease_ManyWantItOneGetsIt(t *testing.T) {
	t.Parallel()
	c, now := client(t), &clock{}
	var got atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := leases.New(c, leases.Config{Timeout: patient, TTL: time.Hour, Now: now.now})
			_, err := s.Acquire(t.Context(), "work", "holder-"+string(rune('a'+i)))
			var held *leases.HeldError
			switch {
			case err == nil:
				got.Add(1)
			case !errors.As(err, &held):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d holders", got.Load())
	}
}

// A process that was asleep while its lease passed on cannot write, whatever it
// believes; the new holder can.
func TestFence_KeepsTheFormerHolderFromWriting(t *testing.T) {
	t.Parallel()
	c, now := client(t), &clock{}
	s := leases.New(c, leases.Config{TTL: time.Minute, Timeout: patient, Now: now.now})
	records := jobstore.New(c, jobstore.WithTimeout(patient), jobstore.WithWriter("test"))
	decide := func(l *leases.Lease, jobID string) error {
		t.Helper()
		o := job.Observation{
			EventID: uuid.NewString(), JobID: jobID, Attempt: 1, OccurredAt: epoch, Kind: job.KindStatus, State: job.StateRunning,
			Ordinal: job.OrdinalBackend, Stage: job.StageBackend,
		}
		if _, err := records.Apply(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
		on, _, err := records.Get(t.Context(), jobID)
		if err != nil {
			t.Fatal(err)
		}
		o.State, o.Evidence, o.OccurredAt = job.StateFailed, job.EvidenceAssumed, epoch.Add(time.Hour)
		_, err = records.Decide(t.Context(), &jobstore.Decision{On: on, Claims: []job.Observation{o}, Fence: l.Fence(jobID)})
		return err
	}
	old := acquire(t, s, "old")
	for _, id := range []string{"a", "b", "c"} {
		if err := decide(old, id); err != nil {
			t.Fatal(err)
		}
	}
	now.advance(time.Minute)
	young := acquire(t, s, "young")
	for _, id := range []string{"d", "e", "f"} {
		if err := decide(old, id); !errors.Is(err, jobstore.ErrFenced) {
			t.Errorf("job %s: the former holder wrote: %v", id, err)
		}
		if got, _, err := records.Get(t.Context(), id); err != nil || got.Record.Status.State != job.StateRunning {
			t.Errorf("job %s is %v, %v", id, got.Record.Status.State, err)
		}
	}
	if err := decide(young, "g"); err != nil {
		t.Error(err)
	}
}

func TestKeep_EndsWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := leases.New(c, leases.Config{TTL: 2 * time.Second})
	l := acquire(t, s, "one")
	held, stop := l.Keep(t.Context())
	defer stop()
	later := leases.New(c, leases.Config{Timeout: patient, TTL: time.Hour, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if _, err := later.Acquire(t.Context(), "work", "two"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held.Done():
	case <-time.After(patient):
		t.Fatal("a lost lease was not noticed")
	}
	if !errors.Is(context.Cause(held), leases.ErrLost) {
		t.Errorf("ended by %v", context.Cause(held))
	}
}

func TestKeep_RenewsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := leases.New(c, leases.Config{TTL: 3 * time.Second})
	l := acquire(t, s, "one")
	held, stop := l.Keep(t.Context())
	defer stop()
	first := untilOf(t, c)
	deadline := time.After(patient)
	for renewed := false; !renewed; {
		select {
		case <-held.Done():
			t.Fatal(context.Cause(held))
		case <-deadline:
			t.Fatal("it was not renewed")
		case <-time.After(100 * time.Millisecond):
			renewed = untilOf(t, c).After(first)
		}
	}
	stop()
	if !errors.Is(context.Cause(held), context.Canceled) {
		t.Errorf("ended by %v", context.Cause(held))
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func untilOf(t *testing.T, c *firestore.Client) time.Time {
	t.Helper()
	snap, err := c.Collection(leases.Collection).Doc("work").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until, _ := snap.Data()["until"].(time.Time)
	return until
}

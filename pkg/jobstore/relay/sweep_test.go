package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// While Pub/Sub is away a sweep must not try each of many entries in turn.
func TestSweep_TriesATopicThatFailedNoMore(t *testing.T) {
	t.Parallel()
	b := prepare(Config{Page: 5, Workers: 1})
	b.outbox.commit(entries(50, time.Now().Add(-time.Hour))...)
	tries := 0
	down := errors.New("down")
	b.broker.answer = func(context.Context, string) error {
		if tries++; tries > 7 {
			return down
		}
		return nil
	}
	swept, err := b.Sweep(t.Context())
	if !errors.Is(err, down) || swept.Published != 7 || tries > 9 || len(b.outbox.ids()) != 43 {
		t.Errorf("swept %+v in %d tries, %d left, error %v", swept, tries, len(b.outbox.ids()), err)
	}
}

// A topic that nothing can be sent to holds back no other topic.
func TestSweep_GoesOnBehindATopicThatFails(t *testing.T) {
	t.Parallel()
	b := prepare(Config{Page: 5, Workers: 2})
	all := entries(40, time.Now().Add(-time.Hour))
	for i := range 10 {
		all[i].Topic = "job-commands"
	}
	b.outbox.commit(all...)
	forbidden := errors.New("forbidden")
	stuck := map[string]bool{}
	for _, e := range all[:10] {
		stuck[e.ID] = true
	}
	b.broker.answer = func(_ context.Context, id string) error {
		if stuck[id] {
			return forbidden
		}
		return nil
	}
	swept, err := b.Sweep(t.Context())
	if !errors.Is(err, forbidden) || swept.Published != 30 || len(b.outbox.ids()) != 10 {
		t.Errorf("swept %+v, %d left, error %v", swept, len(b.outbox.ids()), err)
	}
}

func TestSweep_LeavesYoungAndUnreadable(t *testing.T) {
	t.Parallel()
	b := prepare(Config{})
	b.outbox.commit(entries(2, time.Now())...)
	b.outbox.unreadable = []error{errors.New("field topic: is a bool")}
	swept, err := b.Sweep(t.Context())
	if err != nil || swept != (Swept{Young: 2}) || len(b.outbox.ids()) != 2 {
		t.Errorf("swept %+v, %d left, error %v", swept, len(b.outbox.ids()), err)
	}
}

func TestSweep_SaysWhyItEnded(t *testing.T) {
	t.Parallel()
	b := prepare(Config{})
	b.outbox.listErr = errors.New("firestore is away")
	if _, err := b.Sweep(t.Context()); !errors.Is(err, b.outbox.listErr) {
		t.Errorf("error %v", err)
	}
	if got := testutil.ToFloat64(b.metrics.sweeps.WithLabelValues(sweepFailed)); got != 1 {
		t.Errorf("%v sweeps failed", got)
	}
}

// Whoever sweeps by itself must not meet a sweep that Run has begun and that
// ends with it, between sending and deleting.
func TestRun_WithoutSweeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{SweepEvery: -1})
		b.outbox.commit(entries(3, time.Now().Add(-time.Hour))...)
		elapse(2 * time.Hour)
		if n := len(b.outbox.ids()); n != 3 {
			t.Errorf("%d entries are left, want 3", n)
		}
		b.end(t)
		if swept, err := b.Sweep(t.Context()); err != nil || swept.Published != 3 {
			t.Errorf("swept %+v, %v", swept, err)
		}
	})
}

// What a sweep could not see has not been sent: the page that its age has opened
// must not be closed by a database that does not answer.
func TestSweep_ThatSeesNothingHidesNoAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := prepare(Config{Page: 5})
		down := errors.New("down")
		b.broker.answer = func(context.Context, string) error { return down }
		b.outbox.commit(entries(20, time.Now().Add(-5*time.Minute))...)
		sweep := func(want error) float64 {
			t.Helper()
			if _, err := b.Sweep(t.Context()); !errors.Is(err, want) {
				t.Errorf("sweep: %v", err)
			}
			return testutil.ToFloat64(b.metrics.oldest)
		}
		if got := sweep(down); got != 300 {
			t.Errorf("oldest entry is said to be %v s old", got)
		}
		b.outbox.listErr = errors.New("firestore is away")
		for want := 420.0; want <= 900; want += 120 {
			elapse(2 * time.Minute)
			if got := sweep(b.outbox.listErr); got != want {
				t.Errorf("unseen, the oldest entry is said to be %v s old, want %v", got, want)
			}
		}
		b.outbox.listErr, b.broker.answer = nil, nil
		if got := sweep(nil); got != 0 {
			t.Errorf("all sent, and the oldest is said to be %v s old", got)
		}
		// What is left from now on could be as old as the last look.
		b.outbox.listErr = errors.New("firestore is away")
		elapse(time.Minute)
		if got := sweep(b.outbox.listErr); got != 60 {
			t.Errorf("the oldest that nobody has seen is said to be %v s old", got)
		}
	})
}

package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// elapse lets time pass on the clock of a synctest bubble; nobody waits for it.
func elapse(d time.Duration) { time.Sleep(d) }

func TestProgress_StuckOnlyWithWorkInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := false
		p := &progress{now: time.Now, waiting: func() bool { return down }}
		release := make(chan error)
		handle := track(p, func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error { return <-release })
		elapse(time.Hour)
		if err := p.live(); err != nil {
			t.Errorf("quiet is taken for stuck: %v", err)
		}
		ended := make(chan error)
		go func() { ended <- handle(t.Context(), nil, messaging.Meta{}) }()
		synctest.Wait()
		if err := p.live(); err != nil {
			t.Errorf("stuck at once: %v", err)
		}
		elapse(stuckAfter + time.Second)
		if err := p.live(); err == nil || !strings.Contains(err.Error(), "1 messages in hand and none finished for 5m1s") {
			t.Errorf("stuck is not seen: %v", err)
		}
		down = true
		if err := p.live(); err != nil {
			t.Errorf("waiting for Firestore is taken for stuck: %v", err)
		}
		release <- errors.New("failed")
		<-ended
		if !p.lastDone().IsZero() || p.inHand.Load() != 0 {
			t.Errorf("a failure counts as progress: %v, %d in hand", p.lastDone(), p.inHand.Load())
		}
		go func() { release <- nil }()
		if err := handle(t.Context(), nil, messaging.Meta{}); err != nil || !p.lastDone().Equal(time.Now()) {
			t.Errorf("last done %v, error %v", p.lastDone(), err)
		}
	})
}

func TestProgress_backlogAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &progress{now: time.Now, waiting: func() bool { return false }}
		begin := time.Now()
		release := make(chan error)
		handle := track(p, func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error { return <-release })
		ended := make(chan error)
		take := func(published time.Time, attempt int) {
			go func() {
				ended <- handle(t.Context(), nil, messaging.Meta{PublishTime: published, DeliveryAttempt: attempt})
			}()
			synctest.Wait()
		}
		want := func(what string, age time.Duration) {
			t.Helper()
			if got := p.backlogAge(); got != age {
				t.Errorf("%s: %s, want %s", what, got, age)
			}
		}
		want("nothing in hand", 0)
		take(begin.Add(-time.Minute), 1)
		take(begin.Add(-time.Hour), 3)
		elapse(10 * time.Second)
		want("a first delivery, beside a message that fails again and again", 70*time.Second)
		for range 2 {
			release <- nil
			<-ended
		}
		elapse(10 * time.Second)
		want("finished since", 70*time.Second)
		want("nothing since", 0)
	})
}

type beats struct {
	got []jobstore.Heartbeat
	err error
}

func (b *beats) Beat(_ context.Context, h jobstore.Heartbeat) error {
	b.got = append(b.got, h)
	return b.err
}

func TestHeart_BeatsAtOnceAndThroughErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &beats{err: errors.New("firestore is away")}
		h := &heart{
			to: b, every: 30 * time.Second, instance: "i", version: "v",
			progress: &progress{now: time.Now}, log: zerolog.Nop(),
			receiving: func(context.Context) error { return nil },
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer cancel()
		if err := h.run(ctx); err != nil {
			t.Fatal(err)
		}
		var want []jobstore.Heartbeat
		for i := range 3 {
			want = append(want, jobstore.Heartbeat{
				Service: "status-updater", Instance: "i", Version: "v", At: begin.Add(time.Duration(i) * 30 * time.Second),
				Every: 30 * time.Second, Receiving: true,
			})
		}
		if diff := cmp.Diff(want, b.got); diff != "" {
			t.Errorf("heartbeats (-want +got):\n%s", diff)
		}
	})
}

func TestSplit_LeavesTimeForEveryPart(t *testing.T) {
	t.Parallel()
	for _, total := range []time.Duration{time.Second, 20 * time.Second, time.Minute} {
		b := split(total)
		if b.subscriber <= 0 || b.relay <= 0 || b.publisher <= 0 || b.subscriber+b.relay+b.publisher > total*3/4 {
			t.Errorf("%s is shared out as %+v", total, b)
		}
	}
}

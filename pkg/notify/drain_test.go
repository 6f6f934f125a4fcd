package notify_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
)

// A process that ends waits for its own digest, not for what others cannot send: a
// channel that was archived stays so for days.
func TestDrain_waits_for_its_own_alone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sink := &notifytest.Store{}, &notifytest.Sink{}
		sink.Answer(func(c notifytest.Call) notifytest.Answer {
			if c.Channel != "C9" {
				return notifytest.Answer{}
			}
			return notifytest.Answer{Err: &notify.SendError{Kind: notify.KindChannel, Code: "is_archived", Remedy: "unarchive it", Err: errors.New("no")}}
		})
		other := newRig(t, slackConfig(), store, sink)
		stop := other.start()
		f := fact("a", "1")
		f.Channel = "C9"
		other.note(f)
		time.Sleep(time.Minute)
		stop()

		own := newRig(t, slackConfig(), store, sink)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := own.Post(ctx, &notify.Digest{Key: "run-1", Content: notify.Content{Title: "Recovery"}}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := own.Drain(ctx); err != nil || time.Since(began) > soon {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if got := sink.Posted(false); len(got) != 1 || got[0].Message.Title != "Recovery" {
			t.Errorf("messages %+v, want the digest", got)
		}
		if pending, err := store.Pending(ctx, 10); err != nil || len(pending) != 1 || pending[0].Channel != "C9" {
			t.Errorf("pending %+v, %v, want what the other could not send", pending, err)
		}
	})
}

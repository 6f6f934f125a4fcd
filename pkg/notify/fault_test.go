package notify_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
)

// first makes the first n calls of a name meet an answer.
func first(n int, name string, a notifytest.Answer) func(notifytest.Call) notifytest.Answer {
	return func(c notifytest.Call) notifytest.Answer {
		if c.Name == name && n > 0 {
			n--
			return a
		}
		return notifytest.Answer{}
	}
}

var errLost = &notify.SendError{Kind: notify.KindDown, Code: "timeout", MaySent: true, Err: errors.New("no answer")}

func TestSend_a_lost_answer_makes_no_second_message(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.sink.Answer(first(2, "post", notifytest.Answer{Err: errLost, Done: true})) // the message, then the reply
		r.note(fact("a", "1"))
		time.Sleep(time.Minute)
		if got := r.sink.Posted(false); len(got) != 1 {
			t.Errorf("%d messages, want 1: %+v", len(got), got)
		}
		if got := len(r.sink.Posted(true)); got != 1 {
			t.Errorf("%d replies, want 1", got)
		}
		if got := r.metric("resiliency_notify_found_total"); got != 2 {
			t.Errorf("metric says that %v were found", got)
		}
	})
}

// What was counted after the message whose answer was lost is not in it.
func TestSend_a_message_that_is_found_is_brought_up_to_date(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.sink.Answer(first(1, "post", notifytest.Answer{Err: errLost, Done: true}))
		r.note(fact("a", "1"))
		time.Sleep(time.Second) // posted and lost, and not yet looked for
		r.note(fact("a", "2"))
		time.Sleep(time.Minute)
		got := r.sink.Posted(false)
		if len(got) != 1 || field(got[0].Message, "Count") != "2" {
			t.Errorf("messages %+v, want one that counts 2", got)
		}
	})
}

func TestSend_what_was_not_taken_is_sent_again(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.sink.Answer(first(3, "post", notifytest.Answer{Err: errLost}))
		r.note(fact("a", "1"))
		time.Sleep(3 * time.Minute)
		if got := r.sink.Posted(false); len(got) != 1 {
			t.Errorf("%d messages, want 1", len(got))
		}
		if got := r.sink.Calls("find"); got != 3 {
			t.Errorf("%d searches, want one before each new try", got)
		}
	})
}

// A process that dies between the post and its record.
func TestSend_a_successor_finds_the_message(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sink := &notifytest.Store{}, &notifytest.Sink{}
		r := newRig(t, slackConfig(), store, sink)
		stop := r.start()
		sink.Answer(func(notifytest.Call) notifytest.Answer {
			store.Fail(func([]string) error { return errors.New("process is dead") })
			return notifytest.Answer{}
		})
		if err := r.Note(t.Context(), fact("a", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(soon)
		stop()
		sink.Answer(nil)
		store.Fail(nil)
		defer newRig(t, slackConfig(), store, sink).start()()
		time.Sleep(2 * time.Minute)
		if messages, replies := len(sink.Posted(false)), len(sink.Posted(true)); messages != 1 || replies != 1 {
			t.Errorf("%d messages and %d replies, want 1 each", messages, replies)
		}
		if n := store.Notices()[0]; n.State != notify.StateTold || n.Slot.Timestamp == "" {
			t.Errorf("notice %+v", n)
		}
	})
}

func TestSend_an_outage_delays_nobody_and_ends_in_one_message(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		var down atomic.Bool
		down.Store(true)
		r.sink.Answer(func(notifytest.Call) notifytest.Answer {
			if down.Load() {
				return notifytest.Answer{Err: &notify.SendError{Kind: notify.KindDown, Code: "unreachable", Err: errors.New("refused")}}
			}
			return notifytest.Answer{}
		})
		for _, key := range []string{"1", "2", "3"} {
			begin := time.Now()
			r.note(fact("a", key))
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("the caller waited %s", took)
			}
		}
		time.Sleep(time.Hour)
		if calls := r.sink.Calls("post"); calls > 80 || calls < 10 {
			t.Errorf("%d calls in an hour of outage", calls)
		}
		down.Store(false)
		time.Sleep(7 * time.Minute)
		got := r.sink.Posted(false)
		if len(got) != 1 || field(got[0].Message, "Count") != "3" {
			t.Errorf("messages %+v, want one that counts 3", got)
		}
		if r.sink.Calls("find") > 0 {
			t.Error("searched for a message that surely was not sent")
		}
	})
}

func TestSend_a_limit_is_kept(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		limited := &notify.SendError{Kind: notify.KindLimited, Code: "ratelimited", RetryAfter: 40 * time.Second, Err: errors.New("429")}
		r.sink.Answer(first(1, "post", notifytest.Answer{Err: limited}))
		begin := time.Now()
		r.note(fact("a", "1"), fact("b", "1"))
		time.Sleep(35 * time.Second)
		if calls := r.sink.Calls("post"); calls != 1 {
			t.Errorf("%d calls while Slack asked for a rest", calls)
		}
		time.Sleep(20 * time.Second)
		got := r.sink.Posted(false)
		if len(got) != 2 || got[0].At.Sub(begin) < 40*time.Second {
			t.Errorf("messages %+v, want two after 40 s", got)
		}
	})
}

func TestSend_rate_is_one_a_second(t *testing.T) {
	t.Parallel()
	cfg := slackConfig()
	cfg.NewPerMinute = 60
	bubble(t, cfg, func(t *testing.T, r *rig) {
		begin := time.Now()
		for _, kind := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			r.note(fact(kind, "1"))
		}
		time.Sleep(time.Minute)
		all := append(r.sink.Posted(false), r.sink.Posted(true)...)
		if len(all) != 16 {
			t.Fatalf("%d messages and replies, want 16", len(all))
		}
		last := begin
		for _, p := range all {
			if p.At.After(last) {
				last = p.At
			}
		}
		if took := last.Sub(begin); took < 13*time.Second-time.Millisecond || took > 20*time.Second {
			t.Errorf("16 messages took %s, want about one a second after three at once", took)
		}
	})
}

func TestSend_a_refusal_is_said_once_and_ends(t *testing.T) {
	t.Parallel()
	for _, kind := range []notify.SendErrorKind{notify.KindDenied, notify.KindChannel} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			bubble(t, slackConfig(), func(t *testing.T, r *rig) {
				refusal := &notify.SendError{Kind: kind, Code: "no", Remedy: "mend it", Err: errors.New("no")}
				r.sink.Answer(first(5, "post", notifytest.Answer{Err: refusal}))
				r.note(fact("a", "1"), fact("b", "1"))
				time.Sleep(2 * time.Minute)
				if got := r.metric("resiliency_notify_denied"); got != 1 {
					t.Errorf("metric is %v while it is refused", got)
				}
				time.Sleep(time.Hour)
				if got := r.log.count("mend it"); got != 1 {
					t.Errorf("the remedy was logged %d times, want once", got)
				}
				if got := r.metric("resiliency_notify_denied"); got != 0 {
					t.Errorf("metric is %v after it ended", got)
				}
				if got := len(r.sink.Posted(false)); got != 2 {
					t.Errorf("%d messages, want 2", got)
				}
			})
		})
	}
}

func TestSend_refused_content_is_sent_plain_then_given_up(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.sink.Answer(func(c notifytest.Call) notifytest.Answer {
			if c.Message != nil && (!c.Message.Plain || c.Message.Title == "Kind bad") {
				return notifytest.Answer{Err: &notify.SendError{Kind: notify.KindContent, Code: "invalid_blocks", Err: errors.New("no")}}
			}
			return notifytest.Answer{}
		})
		r.note(fact("good", "1"), fact("bad", "1"))
		time.Sleep(time.Minute)
		if got := r.sink.Posted(false); len(got) != 1 || got[0].Message.Title != "Kind good" {
			t.Errorf("messages %+v, want the one that passes as text", got)
		}
		if got := r.metric("resiliency_notify_abandoned_total", "content"); got != 1 {
			t.Errorf("metric says %v were given up", got)
		}
	})
}

func TestSend_a_deleted_message_is_told_anew(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.note(fact("a", "1"))
		time.Sleep(soon)
		r.sink.Clear()
		r.note(fact("a", "2"))
		time.Sleep(time.Minute)
		if got := r.sink.Posted(false); len(got) != 1 || field(got[0].Message, "Count") != "2" {
			t.Errorf("messages %+v, want a new one that counts 2", got)
		}
	})
}

func TestSend_gives_up_what_is_too_old(t *testing.T) {
	t.Parallel()
	cfg := slackConfig()
	cfg.MaxAge = 2 * time.Hour
	bubble(t, cfg, func(t *testing.T, r *rig) {
		down := &notify.SendError{Kind: notify.KindDown, Code: "unreachable", Err: errors.New("refused")}
		r.sink.Answer(func(notifytest.Call) notifytest.Answer { return notifytest.Answer{Err: down} })
		r.note(fact("a", "1"))
		time.Sleep(3 * time.Hour)
		if r.metric("resiliency_notify_abandoned_total", "age") != 1 || r.log.count("notice is given up") != 1 {
			t.Error("it was not given up, or not said")
		}
		r.sink.Answer(nil)
		time.Sleep(time.Hour)
		if got := len(r.sink.Posted(false)); got != 0 {
			t.Errorf("%d messages about what was given up", got)
		}
		r.note(fact("a", "2")) // but it is not forgotten
		time.Sleep(soon)
		if got := r.sink.Posted(false); len(got) != 1 {
			t.Errorf("messages %+v, want one", got)
		}
	})
}

func TestSend_posts_without_a_search_where_none_is_allowed(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		lost := first(1, "post", notifytest.Answer{Err: errLost})
		r.sink.Answer(func(c notifytest.Call) notifytest.Answer {
			if c.Name == "find" {
				return notifytest.Answer{Err: &notify.SendError{Kind: notify.KindUnsearchable, Code: "missing_scope", Remedy: "add it", Err: errors.New("no")}}
			}
			return lost(c)
		})
		r.note(fact("a", "1"))
		time.Sleep(time.Minute)
		if len(r.sink.Posted(false)) != 1 || r.log.count("add it") != 1 || r.metric("resiliency_notify_posted_unsearched_total") != 1 {
			t.Errorf("messages %+v, want one, its doubt logged and counted", r.sink.Posted(false))
		}
		if r.metric("resiliency_notify_denied") != 0 || r.log.count("refuses notices") != 0 {
			t.Error("notices are said to be refused, though they are posted")
		}
	})
}

func TestDigest_is_sent_once_and_drained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sink := &notifytest.Store{}, &notifytest.Sink{}
		r := newRig(t, slackConfig(), store, sink)
		sink.Answer(first(1, "post", notifytest.Answer{Err: errLost, Done: true}))
		digest := &notify.Digest{Key: "run-1", Content: notify.Content{Title: "Recovery", Sections: []string{"3 jobs closed"}, Link: "/runs/1"}}
		for range 2 {
			if err := r.Post(t.Context(), digest); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		got := sink.Posted(false)
		if len(got) != 1 || got[0].Message.Link != "https://dlq.example.com/base/runs/1" || got[0].Message.Sections[0] != "3 jobs closed" {
			t.Errorf("messages %+v, want the digest once", got)
		}
		sink.Answer(func(notifytest.Call) notifytest.Answer { return notifytest.Answer{Err: errLost} })
		if err := r.Post(t.Context(), &notify.Digest{Key: "run-2", Content: digest.Content}); err != nil {
			t.Fatal(err)
		}
		if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that something is left", err)
		}
	})
}

func TestLog_stands_in_for_Slack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logs{}
		r := newLogged(t, log)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, key := range []string{"1", "2"} {
			f := fact("a", key)
			f.Channel = "C9"
			if err := r.Note(ctx, f); err != nil {
				t.Fatal(err)
			}
			if err := r.Drain(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := log.count("Kind a"); got != 1 {
			t.Errorf("logged %d times, want once for the kind", got)
		}
	})
}

package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
	"github.com/envision/resiliency/pkg/resilience"
)

func TestNote_many_facts_of_few_kinds_are_few_messages(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		const facts, kinds, atOnce = 5000, 3, 256
		begin := time.Now()
		work := make(chan int)
		var callers sync.WaitGroup
		for range atOnce {
			callers.Go(func() {
				for i := range work {
					r.note(fact(fmt.Sprint(i%kinds), fmt.Sprint(i)))
				}
			})
		}
		for i := range facts {
			work <- i
		}
		close(work)
		callers.Wait()
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("callers waited %s", took)
		}
		// A commit a second for each kind, and what the worker records.
		if commits, most := r.store.Commits(), int(time.Since(begin).Seconds()+2)*kinds*4; commits > most {
			t.Errorf("%d commits, want at most %d", commits, most)
		}
		time.Sleep(soon)
		messages := r.sink.Posted(false)
		if len(messages) != kinds {
			t.Fatalf("%d messages, want %d", len(messages), kinds)
		}
		total := 0
		for _, m := range messages {
			count := 0
			if _, err := fmt.Sscan(field(m.Message, "Count"), &count); err != nil {
				t.Fatal(err)
			}
			total += count
		}
		if total != facts {
			t.Errorf("messages count %d facts, want %d", total, facts)
		}
		if got := len(r.sink.Posted(true)); got != 3*kinds {
			t.Errorf("%d details in threads, want 3 for each kind", got)
		}
		if got := r.metric("resiliency_notify_facts_total", "counted"); got != facts {
			t.Errorf("metric counts %v facts", got)
		}
	})
}

func TestNote_counts_a_key_once(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.note(fact("a", "1"), fact("a", "1"), fact("a", "2"))
		var both sync.WaitGroup
		for range 2 { // in one batch
			both.Go(func() { r.note(fact("a", "3")) })
		}
		both.Wait()
		r.note(fact("b", "1")) // another kind is another fact
		time.Sleep(soon)
		var counts []string
		for _, m := range r.sink.Posted(false) {
			counts = append(counts, m.Message.Title+" "+field(m.Message, "Count"))
		}
		if diff := cmp.Diff([]string{"Kind a 3", "Kind b 1"}, counts); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

func TestNote_tells_the_caller_when_the_store_does_not_take_it(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		down := resilience.Dependency("firestore", errors.New("down"))
		r.store.Fail(func([]string) error { return down })
		if err := r.Note(t.Context(), fact("a", "1")); !errors.Is(err, down) {
			t.Errorf("error %v, want the store's", err)
		}
		r.store.Fail(nil)
		r.note(fact("a", "1"))
		time.Sleep(soon)
		if got := r.sink.Posted(false); len(got) != 1 || field(got[0].Message, "Count") != "1" {
			t.Errorf("messages %+v, want one that counts 1", got)
		}
	})
}

func TestNote_refuses_what_is_no_fact(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		for _, f := range []*notify.Fact{
			{Fingerprint: "a", Content: notify.Content{Title: "t"}},
			{Key: "1", Content: notify.Content{Title: "t"}},
			{Key: "1", Fingerprint: "a", Content: notify.Content{Title: " \n"}},
		} {
			if err := r.Note(t.Context(), f); !resilience.IsPermanent(err) {
				t.Errorf("fact %+v: error %v, want a permanent one", f, err)
			}
		}
	})
}

// A caller that leaves does not take the facts of the others with it.
func TestNote_a_leader_that_leaves_commits_for_all(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		r.note(fact("a", "0"))
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if err := r.Note(ctx, fact("a", "1")); err != nil {
				t.Errorf("leader: %v", err)
			}
		})
		synctest.Wait() // the leader waits for company
		callers.Go(func() { r.note(fact("a", "2")) })
		synctest.Wait()
		before := time.Now()
		cancel()
		callers.Wait()
		if time.Since(before) > 0 {
			t.Errorf("it took %s after the leader left", time.Since(before))
		}
		if got := r.store.Notices()[0].Count; got != 3 {
			t.Errorf("counted %d, want 3", got)
		}
	})
}

func TestWindow_a_quiet_kind_begins_a_new_message(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		old := fact("a", "1")
		old.At = time.Now().Add(-48 * time.Hour) // told of late: no reason for a message each
		r.note(old)
		time.Sleep(soon)
		late := fact("a", "2")
		late.At = old.At
		r.note(late)
		time.Sleep(23 * time.Hour)
		r.note(fact("a", "3"))
		time.Sleep(25 * time.Hour)
		r.note(fact("a", "4"))
		time.Sleep(soon)
		got := r.sink.Posted(false)
		if len(got) != 2 || field(got[0].Message, "Count") != "3" || field(got[1].Message, "Count") != "1" {
			t.Errorf("messages %+v, want one of 3 facts and one of 1", got)
		}
	})
}

func TestUpdate_is_not_more_often_than_asked(t *testing.T) {
	t.Parallel()
	cfg := slackConfig()
	cfg.UpdateEvery = 20 * time.Second
	bubble(t, cfg, func(t *testing.T, r *rig) {
		for i := range 60 {
			r.note(fact("a", fmt.Sprint(i)))
		}
		time.Sleep(25 * time.Second)
		got := r.sink.Posted(false)
		if len(got) != 1 || field(got[0].Message, "Count") != "60" {
			t.Fatalf("messages %+v, want one that counts 60", got)
		}
		if got[0].Updates > 5 {
			t.Errorf("%d updates in 85 s", got[0].Updates)
		}
	})
}

func TestFold_a_flood_of_kinds_is_summed_up(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		var callers sync.WaitGroup
		for i := range 40 {
			callers.Go(func() { r.note(fact(fmt.Sprintf("%02d", i), "x"), fact(fmt.Sprintf("%02d", i), "y")) })
		}
		callers.Wait()
		time.Sleep(2 * time.Minute)
		own, summed, summaries := 0, 0, 0
		for _, p := range r.sink.Posted(false) {
			count := 0
			if _, err := fmt.Sscan(field(p.Message, "Count"), &count); err != nil {
				t.Fatal(err)
			}
			if field(p.Message, "First seen") == "" {
				t.Errorf("message without times: %+v", p.Message)
			}
			if strings.HasPrefix(p.Message.Title, fmt.Sprintf("%d more failures of ", count)) {
				summaries++
				summed += count
			} else {
				own += count
			}
		}
		if summaries != 1 || own+summed != 80 {
			t.Errorf("%d summaries of %d facts beside %d, want 1 and 80 in all", summaries, summed, own)
		}
		if messages := len(r.sink.Posted(false)); messages > 35 || messages < 11 {
			t.Errorf("%d messages", messages)
		}
		if got := r.metric("resiliency_notify_folded_total"); got < 10 {
			t.Errorf("metric says %v were folded", got)
		}
		if pending, _ := r.store.Pending(t.Context(), 10); len(pending) > 0 {
			t.Errorf("still pending: %+v", pending)
		}
	})
}

// Two processes share a store and a channel.
func TestReplicas_post_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sink := &notifytest.Store{}, &notifytest.Sink{}
		var callers sync.WaitGroup
		for replica := range 2 {
			r := newRig(t, slackConfig(), store, sink)
			defer r.start()()
			for i := range 300 {
				callers.Go(func() { r.note(fact(fmt.Sprint(i%4), fmt.Sprint(i/2*2+replica*(i%2)))) })
			}
		}
		callers.Wait()
		time.Sleep(time.Minute)
		if got := len(sink.Posted(false)); got != 4 {
			t.Errorf("%d messages, want 4", got)
		}
		for _, n := range store.Notices() {
			if n.State != notify.StateTold || n.Told != n.Count {
				t.Errorf("notice %+v is not told", n)
			}
		}
	})
}

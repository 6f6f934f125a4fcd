//go:build integration

package notices_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/notices"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
	"github.com/envision/resiliency/pkg/resilience"
)

// client connects to the emulator under a project of the test's own.
func client(t *testing.T) *firestore.Client {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "notices-"+uuid.NewString()[:8], "")
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

// The first calls of a fresh emulator are slow, and it makes writers of one
// document wait for each other.
var patient = notices.Config{Timeout: 20 * time.Second}

var at = time.Date(2026, 11, 21, 10, 0, 0, 123_456_000, time.UTC)

// full is a notice with every field set.
func full(id string) notify.Notice {
	return notify.Notice{
		ID: id, Kind: notify.KindGroup, Channel: "C1", Fingerprint: "f", Window: 2,
		Content: notify.Content{
			Title: "t", Sections: []string{"s"}, Fields: []notify.Field{{Name: "n", Value: "v"}}, Link: "https://example.com",
		},
		Count: 5, Told: 4, Groups: 3, Titles: []string{"a"}, FirstSeen: at, LastSeen: at.Add(1 * time.Second), NotedAt: at.Add(2 * time.Second),
		Samples: []notify.Sample{{Text: "x", Link: "https://example.com/x", At: at}}, Replies: 1,
		Revision: 7, ToldRevision: 6, Slot: notify.Slot{Sink: "slack", Channel: "C1", Timestamp: "1.2"}, Plain: true,
		State: notify.StateOpen, PendingSince: at.Add(3 * time.Second), DueAt: at.Add(4 * time.Second), ToldAt: at.Add(5 * time.Second),
		Attempts: 2, LastError: "down", Claim: notify.Claim{By: "i", Until: at.Add(6 * time.Second)},
		Doubt: "message", DoubtSince: at.Add(7 * time.Second), DoubtRevision: 5, DoubtCount: 6, ExpireAt: at.Add(8 * time.Second),
	}
}

func put(t *testing.T, s *notices.Store, n notify.Notice) {
	t.Helper()
	err := s.Change(t.Context(), []string{n.ID}, func(got []*notify.Notice) bool { *got[0] = n; return true })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *notices.Store, id string) (found notify.Notice) {
	t.Helper()
	err := s.Change(t.Context(), []string{id}, func(got []*notify.Notice) bool { found = *got[0]; return false })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestStore_gives_back_what_it_was_given(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := notices.New(c, patient)
	if diff := cmp.Diff(notify.Notice{ID: "n"}, get(t, s, "n")); diff != "" {
		t.Errorf("a notice that does not exist (-want +got):\n%s", diff)
	}
	want := full("n")
	put(t, s, want) // creates
	if diff := cmp.Diff(want, get(t, s, "n")); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	want = notify.Notice{ID: "n", Kind: notify.KindGroup, State: notify.StateTold}
	put(t, s, want) // updates
	if diff := cmp.Diff(want, get(t, s, "n")); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	snap, err := c.Collection(notices.CollectionNotices).Doc("n").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fields := snap.Data(); fields["state"] != notify.StateTold || fields["due_at"] != nil {
		t.Errorf("document %v", fields)
	}
}

func TestStore_Pending_lists_by_time_and_leaves_out_what_is_told(t *testing.T) {
	t.Parallel()
	s := notices.New(client(t), patient)
	for i, due := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour, 4 * time.Hour} {
		n := full(fmt.Sprint(i))
		n.DueAt = at.Add(due)
		put(t, s, n)
	}
	told := full("told")
	told.DueAt = time.Time{}
	put(t, s, told)
	pending, err := s.Pending(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range pending {
		ids = append(ids, pending[i].ID)
	}
	if diff := cmp.Diff([]string{"1", "2", "0"}, ids); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
}

func TestStore_Change_is_compare_and_set_on_all_of_them(t *testing.T) {
	t.Parallel()
	c := client(t)
	stores := []*notices.Store{notices.New(c, patient), notices.New(c, patient)}
	const each = 10
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for range each {
				ids := []string{"a", "b"}
				err := stores[i%2].Change(t.Context(), ids, func(n []*notify.Notice) bool {
					n[0].Kind, n[1].Kind = notify.KindGroup, notify.KindGroup
					n[0].Count++
					n[1].Count--
					return true
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if a, b := get(t, stores[0], "a").Count, get(t, stores[0], "b").Count; a != 4*each || b != -a {
		t.Errorf("counts %d and %d, want %d and its negative", a, b, 4*each)
	}
}

// Every caller states every fact, in batches that overlap, and each counts once.
func TestStore_Count_counts_each_key_once(t *testing.T) {
	t.Parallel()
	c := client(t)
	const facts, callers = 60, 4
	var wg sync.WaitGroup
	for caller := range callers {
		s := notices.New(c, patient)
		wg.Go(func() {
			for from := 0; from < facts; from += 5 {
				var keys []string
				for i := range 10 {
					keys = append(keys, fmt.Sprint((from+caller*7+i)%facts))
				}
				keys = append(keys, keys[0]) // and one twice
				err := s.Count(t.Context(), "n", keys, func(n *notify.Notice, known []bool) bool {
					fresh := int64(0)
					for i := range known {
						if !known[i] {
							fresh++
						}
					}
					n.Kind = notify.KindGroup
					n.Count += fresh
					return fresh > 0
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := get(t, notices.New(c, patient), "n").Count; got != facts {
		t.Errorf("counted %d, want %d", got, facts)
	}
	docs, err := c.Collection(notices.CollectionFacts).Documents(t.Context()).GetAll()
	if err != nil || len(docs) != facts {
		t.Errorf("%d facts on record (%v), want %d", len(docs), err, facts)
	}
}

func TestStore_tells_whose_fault_it_is(t *testing.T) {
	t.Parallel()
	s := notices.New(client(t), patient)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Change(ctx, []string{"n"}, func([]*notify.Notice) bool { return true }); !resilience.Canceled(err) {
		t.Errorf("error %v, want the caller's own", err)
	}
	if err := s.Change(t.Context(), []string{"a/b"}, func([]*notify.Notice) bool { return true }); err == nil {
		t.Error("a path is no id")
	}
}

// Two processes count and tell together: nothing is lost and nothing doubled.
func TestNotifiers_share_the_store(t *testing.T) {
	t.Parallel()
	c, sink := client(t), &notifytest.Sink{}
	const facts, kinds = 400, 3
	ctx, cancel := context.WithCancel(context.Background())
	var running, callers sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range 2 {
		n, err := notify.New(notify.Config{
			SlackToken: "t", SlackChannel: "C1", FlushEvery: 200 * time.Millisecond, UpdateEvery: 500 * time.Millisecond,
		}, notify.Parts{
			Store: notices.New(c, patient), Poster: sink, Instance: fmt.Sprint(i), Registerer: prometheus.NewRegistry(), Log: zerolog.Nop(),
		})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := n.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for k := range facts {
			callers.Go(func() { // both state every fact
				err := n.Note(ctx, &notify.Fact{
					Key: fmt.Sprint(k), Fingerprint: fmt.Sprint(k % kinds), Content: notify.Content{Title: fmt.Sprint(k % kinds)}, Detail: "d",
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	callers.Wait()
	s, limit := notices.New(c, patient), time.After(time.Minute)
	for pending := 1; pending > 0; {
		found, err := s.Pending(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		pending = len(found)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			t.Fatalf("still pending: %+v", found)
		}
	}
	total := 0
	for _, p := range sink.Posted(false) {
		for _, f := range p.Message.Fields {
			if count := 0; f.Name == "Count" {
				if _, err := fmt.Sscan(f.Value, &count); err != nil {
					t.Fatal(err)
				}
				total += count
			}
		}
	}
	if messages, replies := len(sink.Posted(false)), len(sink.Posted(true)); messages != kinds || replies != 3*kinds || total != facts {
		t.Errorf("%d messages and %d replies tell of %d facts, want %d, %d and %d", messages, replies, total, kinds, 3*kinds, facts)
	}
}

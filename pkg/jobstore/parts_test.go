package jobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

func TestCache_EntriesEndByAgeAndSize(t *testing.T) {
	t.Parallel()
	now := epoch
	c := newCache(2, time.Minute, func() time.Time { return now })
	c.put("a", &entry{})
	now = now.Add(time.Minute - 1)
	if _, ok := c.get("a"); !ok {
		t.Error("entry ended before its time")
	}
	now = now.Add(1)
	if _, ok := c.get("a"); ok || c.entries.Len() != 0 {
		t.Error("entry outlived its time")
	}
	for _, id := range []string{"a", "b", "c"} {
		c.put(id, &entry{})
	}
	if _, ok := c.get("a"); ok || c.entries.Len() != 2 {
		t.Errorf("cache of 2 holds %d entries", c.entries.Len())
	}
	c.drop("b")
	if _, ok := c.get("b"); ok {
		t.Error("dropped entry is still there")
	}
	off := newCache(0, time.Minute, time.Now)
	off.put("a", &entry{})
	off.drop("a")
	if _, ok := off.get("a"); ok {
		t.Error("a cache of none kept an entry")
	}
}

func TestWithCache_NeverLongerThanAMinute(t *testing.T) {
	t.Parallel()
	if got := newStore(newMemory(), WithCache(1, time.Hour)).cache.ttl; got != MaxCacheAge {
		t.Errorf("records are kept %s", got)
	}
}

func TestKeyLocks_WaiterMayLeave(t *testing.T) {
	t.Parallel()
	locks := newKeyLocks()
	unlock, waited, err := locks.lock(t.Context(), "a")
	if err != nil || waited {
		t.Fatalf("free key: waited %v, error %v", waited, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := locks.lock(ctx, "a")
		left <- err
	}()
	other, waited, err := locks.lock(t.Context(), "b")
	if err != nil || waited {
		t.Fatalf("another key waits too: %v", err)
	}
	other()
	tired := errors.New("tired")
	cancel(tired)
	if err := <-left; !errors.Is(err, tired) {
		t.Errorf("waiter left with %v", err)
	}
	unlock()
	again, _, err := locks.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	again()
	if len(locks.held) != 0 {
		t.Errorf("%d locks left", len(locks.held))
	}
}

func TestOutbox_PagesAndDeletes(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	want := make([]Entry, 5)
	for i := range want {
		want[i] = Entry{
			ID: fmt.Sprintf("id-%d", i), Topic: "job-updates", Type: "a.B", Payload: []byte{0, byte(i)},
			Attributes: map[string]string{"k": "v"}, CreatedAt: epoch,
		}
		if _, err := db.carryOut([]write{want[i].create()}); err != nil {
			t.Fatal(err)
		}
	}
	db.docs["outbox/id-2"].fields["topic"] = int64(7)
	var got []Entry
	var unreadable []error
	for after, pages := "", 0; ; pages++ {
		page, err := s.PendingEntries(t.Context(), after, 2)
		if err != nil || pages > 3 {
			t.Fatalf("page %d: %v", pages, err)
		}
		got, unreadable = append(got, page.Entries...), append(unreadable, page.Unreadable...)
		if after = page.Next; after == "" {
			break
		}
	}
	if diff := cmp.Diff(slices.Delete(slices.Clone(want), 2, 3), got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(unreadable) != 1 || !strings.Contains(unreadable[0].Error(), "read outbox entry id-2: field topic:") {
		t.Errorf("unreadable: %v", unreadable)
	}
	if err := s.DeleteEntries(t.Context(), []string{"id-0", "id-1", "gone"}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteEntries(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"id-2", "id-3", "id-4"}, db.ids(collectionOutbox)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestBeat(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	one := Heartbeat{
		Service: "status-updater", Instance: "pod-1", Version: "v1", At: epoch, Every: 30 * time.Second,
		InHand: 2, BacklogAge: 1500 * time.Millisecond, Receiving: true,
	}
	two := Heartbeat{Service: "status-updater", Instance: "pod-2", Version: "v1", At: epoch, ProgressAt: epoch}
	for _, h := range []Heartbeat{one, two} {
		if err := s.Beat(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{
		"instance": "pod-2", "version": "v1", "at": epoch, "every_seconds": 0.0, "progress_at": epoch, "in_hand": int64(0),
		"backlog_age_seconds": 0.0, "receiving": false, "expire_at": epoch.Add(24 * time.Hour),
	}
	if diff := cmp.Diff(want, db.docs["heartbeats/status-updater"].fields); diff != "" {
		t.Errorf("the last heartbeat (-want +got):\n%s", diff)
	}
	got, err := s.Heartbeats(t.Context(), "status-updater")
	if diff := cmp.Diff([]Heartbeat{one, two}, got); diff != "" || err != nil {
		t.Errorf("error %v, heartbeats (-want +got):\n%s", err, diff)
	}
	if got, err := s.Heartbeats(t.Context(), "another"); len(got) > 0 || err != nil {
		t.Errorf("heartbeats of another service: %v, error %v", got, err)
	}
	db.docs["heartbeats/status-updater/instances/pod-1"].fields["in_hand"] = "many"
	if _, err := s.Heartbeats(t.Context(), "status-updater"); err == nil || !strings.Contains(err.Error(), "pod-1") {
		t.Errorf("a heartbeat of another form: %v", err)
	}
}

// A process that crashes again and again leaves many heartbeats; the living one
// must not be hidden behind them.
func TestHeartbeats_AllPages(t *testing.T) {
	t.Parallel()
	s := testStore(newMemory())
	beat := func(instance string, at time.Time) {
		t.Helper()
		if err := s.Beat(t.Context(), Heartbeat{Service: "status-updater", Instance: instance, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	const dead = heartbeatPage + 100
	for n := range dead {
		beat(fmt.Sprintf("pod-%04d", n), epoch)
	}
	beat("pod-x", epoch.Add(time.Hour))
	all, err := s.Heartbeats(t.Context(), "status-updater")
	if err != nil || len(all) != dead+1 {
		t.Fatalf("%d heartbeats, error %v", len(all), err)
	}
	if last := all[dead]; last.Instance != "pod-x" || !last.At.Equal(epoch.Add(time.Hour)) {
		t.Errorf("the last one is %+v", last)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	db := newMemory()
	s := testStore(db)
	if _, found, err := s.Get(t.Context(), "j"); found || err != nil {
		t.Errorf("missing record: found %v, error %v", found, err)
	}
	if _, _, err := s.Get(t.Context(), "a/b"); !resilience.IsPermanent(err) {
		t.Errorf("path as id: %v", err)
	}
	want := mustApply(t, s, claim(job.StateRunning, 1))
	got, found, err := s.Get(t.Context(), "j")
	if !found || err != nil || !got.Record.Equal(want.After) || got.UpdateTime.IsZero() {
		t.Errorf("got %+v, found %v, error %v", got, found, err)
	}
}

func TestPing_AsksOnlyWhenNothingWasAnswered(t *testing.T) {
	t.Parallel()
	db, now := newMemory(), epoch
	s := newStore(db, WithClock(func() time.Time { return now }))
	ping := func(wantGets int, wantOK bool) {
		t.Helper()
		err := s.Ping(t.Context(), time.Minute)
		if gets, _ := db.counts(); gets != wantGets || (err == nil) != wantOK {
			t.Errorf("%d reads, error %v; want %d", gets, err, wantGets)
		}
	}
	ping(1, true)
	now = now.Add(time.Minute)
	ping(1, true)
	now = now.Add(1)
	ping(2, true)
	failCommits(codes.Unavailable)(db)
	if err := s.Beat(t.Context(), Heartbeat{Service: "x"}); err == nil {
		t.Fatal("no error")
	}
	ping(3, true)
	db.onGet = func(int) error { return status.Error(codes.Unavailable, "down") }
	now = now.Add(time.Hour)
	ping(4, false)
}

func TestMetrics_OperationsAndDocuments(t *testing.T) {
	t.Parallel()
	db := newMemory()
	reg := prometheus.NewRegistry()
	s := testStore(db, WithRegisterer(reg))
	mustApply(t, s, claim(job.StateRunning, 1))
	mustApply(t, s, claim(job.StateRunning, 1))
	if err := s.DeleteEntries(t.Context(), []string{"j-1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PendingEntries(t.Context(), "", 10); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP resiliency_firestore_documents_total Documents that Firestore bills, by kind (read, write, delete); of answered calls.
# TYPE resiliency_firestore_documents_total counter
resiliency_firestore_documents_total{kind="delete"} 1
resiliency_firestore_documents_total{kind="read"} 2
resiliency_firestore_documents_total{kind="write"} 2
# HELP resiliency_firestore_operations_total Calls to Firestore by operation (get, commit, list, find, query, count, get_all) and result (ok, conflict, permanent, dependency, retryable).
# TYPE resiliency_firestore_operations_total counter
resiliency_firestore_operations_total{op="commit",result="ok"} 2
resiliency_firestore_operations_total{op="get",result="ok"} 1
resiliency_firestore_operations_total{op="list",result="ok"} 1
# HELP resiliency_jobstore_applies_total Claims given to the store by outcome (applied, duplicate, stale, corrected, error).
# TYPE resiliency_jobstore_applies_total counter
resiliency_jobstore_applies_total{outcome="applied"} 1
resiliency_jobstore_applies_total{outcome="duplicate"} 1
# HELP resiliency_jobstore_cache_lookups_total Look-ups in the record cache by result (hit, miss).
# TYPE resiliency_jobstore_cache_lookups_total counter
resiliency_jobstore_cache_lookups_total{result="hit"} 1
resiliency_jobstore_cache_lookups_total{result="miss"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "resiliency_firestore_documents_total",
		"resiliency_firestore_operations_total", "resiliency_jobstore_applies_total", "resiliency_jobstore_cache_lookups_total"); err != nil {
		t.Error(err)
	}
}

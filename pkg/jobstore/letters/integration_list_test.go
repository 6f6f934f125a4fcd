//go:build integration

package letters_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// seed stores 40 letters, the last one newest, and returns when each was seen.
func seed(t *testing.T, b *bench) (seen []time.Time) {
	t.Helper()
	for n := range 40 {
		l := b.put(t, arrival(n, func(a *letters.Arrival) {
			a.Letter.Tenant = fmt.Sprintf("t%d", n%2)
			a.Letter.Fingerprint = fmt.Sprintf("f%d", n%4)
			if n%10 == 0 {
				a.Letter.Category, a.Letter.Dependency = resilience.CategoryDependency, "firestore"
			}
		}), letters.PlacedNew)
		seen = append(seen, l.LastSeenAt)
	}
	return seen
}

// jobs walks through all pages.
func (b *bench) jobs(t *testing.T, f letters.Filter, size int) []string {
	t.Helper()
	var out []string
	for after := (*letters.Cursor)(nil); ; {
		page, err := b.List(t.Context(), f, after, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Letters {
			if l.Payload != nil || l.Decoded != "" || l.Attributes != nil || l.History != nil {
				t.Fatalf("a list carries what is large: %+v", l)
			}
			out = append(out, l.JobID)
		}
		if after = page.Next; after == nil {
			return out
		}
	}
}

func TestStore_List(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := seed(t, b)
	every := func(first, step int) []string {
		var out []string
		for n := first; n >= 0; n -= step {
			out = append(out, fmt.Sprintf("j-%d", n))
		}
		return out
	}
	cases := []struct {
		name   string
		filter letters.Filter
		size   int
		want   []string
	}{
		{"all", letters.Filter{}, 7, every(39, 1)},
		{"pages_end_with_the_list", letters.Filter{State: letters.StateOpen}, 20, every(39, 1)},
		{"fingerprint", letters.Filter{Fingerprint: "f1"}, 3, every(37, 4)},
		{"cause", letters.Filter{Category: resilience.CategoryDependency, Dependency: "firestore"}, 3, every(30, 10)},
		{"job", letters.Filter{JobID: "j-8"}, 3, []string{"j-8"}},
		{"tenants", letters.Filter{Tenants: []string{"t1", "t7"}, State: letters.StateOpen}, 6, every(39, 2)},
		{"time", letters.Filter{From: seen[2], To: seen[5]}, 9, []string{"j-4", "j-3", "j-2"}},
		{"no_tenant", letters.Filter{Tenants: []string{}}, 6, nil},
		{"nothing", letters.Filter{Fingerprint: "none"}, 6, nil},
		{"replayed", letters.Filter{State: letters.StateReplayed}, 6, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, b.jobs(t, c.filter, c.size)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n, err := b.Count(t.Context(), c.filter); err != nil || n != int64(len(c.want)) {
				t.Errorf("Count = %d, %v; want %d", n, err, len(c.want))
			}
		})
	}
}

func TestStore_ListRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	many := letters.Filter{Tenants: make([]string, letters.MaxTenants+1)}
	if _, err := b.List(t.Context(), many, nil, 10); !errors.Is(err, letters.ErrFilter) || !resilience.IsPermanent(err) {
		t.Errorf("too many tenants: %v", err)
	}
	for _, size := range []int{-1, 0, letters.MaxPage + 1} {
		if _, err := b.List(t.Context(), letters.Filter{}, nil, size); !errors.Is(err, letters.ErrFilter) {
			t.Errorf("page of %d: %v", size, err)
		}
	}
}

func TestStore_Operations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	o, err := b.StartOperation(ctx, letters.Operation{By: "ana", Rate: 5, Matched: 3, Filter: letters.Filter{Fingerprint: "f1"}})
	if err != nil || o.State != letters.OperationRunning || o.Filter.State != letters.StateOpen || o.Filter.To.IsZero() {
		t.Fatalf("StartOperation = %+v, %v", o, err)
	}
	var mu sync.Mutex
	var taken []letters.Operation
	var wg sync.WaitGroup
	for n := range 5 {
		wg.Go(func() {
			got, ok, err := b.TakeOperation(context.Background(), fmt.Sprintf("p%d", n), time.Hour)
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, got)
			}
		})
	}
	wg.Wait()
	if len(taken) != 1 {
		t.Fatalf("%d processes hold it", len(taken))
	}
	held := taken[0]
	held.Replayed, held.Cursor = 2, &letters.Cursor{At: epoch, ID: "x"}
	if err := b.SaveOperation(ctx, &held, 0); err != nil { // lets go of it
		t.Fatal(err)
	}
	next, ok, err := b.TakeOperation(ctx, "another", time.Hour)
	if err != nil || !ok || next.Replayed != 2 || next.Cursor == nil || next.Cursor.ID != "x" {
		t.Fatalf("taken up again: %+v, %t, %v", next, ok, err)
	}
	if err := b.SaveOperation(ctx, &held, time.Hour); !errors.Is(err, letters.ErrState) {
		t.Errorf("saved by who lost it: %v", err)
	}
	if got, err := b.CancelOperation(ctx, o.ID, "ben", "wrong filter"); err != nil || got.State != letters.OperationCancelled {
		t.Errorf("CancelOperation = %+v, %v", got, err)
	}
	if err := b.SaveOperation(ctx, &next, time.Hour); !errors.Is(err, letters.ErrState) {
		t.Errorf("saved after the cancel: %v", err)
	}
	if _, err := b.CancelOperation(ctx, o.ID, "ben", "again"); !errors.Is(err, letters.ErrState) {
		t.Errorf("cancelled twice: %v", err)
	}
	page, err := b.ListOperations(ctx, nil, 10)
	if err != nil || len(page.Operations) != 1 || page.Operations[0].ExpiresAt.IsZero() {
		t.Errorf("ListOperations = %+v, %v", page, err)
	}
	if audit, err := b.ListAudit(ctx, letters.AuditFilter{Target: o.ID}, nil, 10); err != nil || len(audit.Entries) != 2 {
		t.Errorf("audit %+v, %v", audit, err)
	}
}

func TestStore_LostClaimsAndCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	by := letters.Claim{By: "ana", Operation: "op"}
	sent := b.put(t, arrival(1), letters.PlacedNew)
	lost := b.put(t, arrival(2), letters.PlacedNew)
	claimed, err := b.Claim(ctx, sent.ID, by, "mended")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Confirm(ctx, &claimed); err != nil {
		t.Fatal(err)
	}
	if claimed, err = b.Claim(ctx, lost.ID, by, "mended"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReleaseLost(ctx, &claimed, false); !errors.Is(err, letters.ErrState) {
		t.Errorf("a claim that still holds was taken away: %v", err)
	}
	open, err := b.ReleaseLost(ctx, &claimed, true)
	if err != nil || open.State != letters.StateOpen || open.LastError == "" {
		t.Errorf("ReleaseLost = %+v, %v", open, err)
	}
	if n, err := b.CountSent(ctx, "op"); err != nil || n != 1 {
		t.Errorf("CountSent = %d, %v; want 1", n, err)
	}
	if claimed, err = b.Claim(ctx, lost.ID, by, "mended"); err != nil {
		t.Fatal(err)
	}
	b.clock.seconds.Add(3600)
	if claimed, err = b.Claim(ctx, lost.ID, letters.Claim{By: "ben"}, "taken over"); err != nil || claimed.Replays != 3 {
		t.Errorf("a claim that was lost: %+v, %v", claimed, err)
	}
	if released, err := b.Release(ctx, &claimed, "topic gone", false); err != nil || released.State != letters.StateOpen || released.LastError != "topic gone" {
		t.Errorf("Release = %+v, %v", released, err)
	}
}

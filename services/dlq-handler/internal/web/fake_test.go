package web

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// desk is a store and a replayer in memory. Its rules are those that package
// letters documents.
type desk struct {
	mu         sync.Mutex
	letters    map[string]*letters.Letter
	operations map[string]*letters.Operation
	audits     []letters.Audit
	// sent are the ids of letters that were sent, started the orders of operations.
	sent    []string
	started []letters.ReplayRequest
	// refuse makes every replay fail with this sentence, err every call with it.
	refuse string
	err    error
	// open replaces the payloads; replaying, when set, is called by each replay
	// before it does anything.
	open      func(id string) (io.ReadCloser, int64)
	replaying func()
}

var now = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

func newDesk() *desk {
	return &desk{letters: map[string]*letters.Letter{}, operations: map[string]*letters.Operation{}}
}

// add stores a letter, each a second older than the one before, and returns its id.
func (d *desk) add(tenant string, change ...func(*letters.Letter)) string {
	n := len(d.letters)
	l := &letters.Letter{
		ID: job.EventID("letter", fmt.Sprint(n)), State: letters.StateOpen, Subscription: "job-events-status-updater",
		Topic: "job-events", Type: "envision.resiliency.v1.JobEvent", JobID: fmt.Sprintf("j-%d", n), Tenant: tenant,
		Reason: "decode: cut short", Category: "permanent", Fingerprint: "f-1", Count: 1, Episode: 1,
		FirstSeenAt: now.Add(-time.Hour), LastSeenAt: now.Add(-time.Duration(n) * time.Second),
		Payload: []byte("payload of a letter"), PayloadSize: 19, Decoded: `{"job_id": "x"}`,
		History: []letters.Event{{At: now, What: letters.EventCaptured, Reason: "decode: cut short"}},
	}
	for _, c := range change {
		c(l)
	}
	d.letters[l.ID] = l
	return l.ID
}

func matches(f *letters.Filter, l *letters.Letter) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(string(f.State), string(l.State)) && is(f.Fingerprint, l.Fingerprint) && is(string(f.Category), string(l.Category)) &&
		is(f.Dependency, l.Dependency) && is(f.Subscription, l.Subscription) && is(f.JobID, l.JobID) &&
		(f.Tenants == nil || slices.Contains(f.Tenants, l.Tenant)) &&
		(f.From.IsZero() || !l.LastSeenAt.Before(f.From)) && (f.To.IsZero() || l.LastSeenAt.Before(f.To))
}

func (d *desk) chosen(f *letters.Filter) []letters.Letter {
	var out []letters.Letter
	for _, l := range d.letters {
		if matches(f, l) {
			out = append(out, *l)
		}
	}
	slices.SortFunc(out, func(a, b letters.Letter) int { return b.LastSeenAt.Compare(a.LastSeenAt) })
	return out
}

func (d *desk) List(_ context.Context, f letters.Filter, after *letters.Cursor, limit int) (letters.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(f.Tenants) > letters.MaxTenants {
		return letters.Page{}, fmt.Errorf("list letters: %w", letters.ErrFilter)
	}
	all := d.chosen(&f)
	if after != nil {
		all = slices.DeleteFunc(all, func(l letters.Letter) bool { return !l.LastSeenAt.Before(after.At) })
	}
	page := letters.Page{Letters: all[:min(limit, len(all))]}
	if len(all) > limit {
		last := all[limit-1]
		page.Next = &letters.Cursor{At: last.LastSeenAt, ID: last.ID}
	}
	return page, d.err
}

func (d *desk) Count(_ context.Context, f letters.Filter) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.chosen(&f))), d.err
}

func (d *desk) Get(_ context.Context, id string) (letters.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.letters[id]
	if d.err != nil {
		return letters.Letter{}, d.err
	}
	if !ok {
		return letters.Letter{}, fmt.Errorf("read letter %s: %w", id, letters.ErrNotFound)
	}
	return *l, nil
}

func (d *desk) audit(who, action, target, reason string) {
	d.audits = append(d.audits, letters.Audit{
		ID: uuid.NewString(), At: now, Who: who, Action: action, Target: target, Reason: reason, Outcome: "done",
	})
}

func (d *desk) Discard(_ context.Context, id, by, reason string) (letters.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.letters[id]
	if l.State != letters.StateOpen {
		return *l, fmt.Errorf("discard letter %s: %w", id, letters.ErrState)
	}
	l.State = letters.StateDiscarded
	d.audit(by, letters.ActionDiscard, id, reason)
	return *l, nil
}

func (d *desk) Replay(_ context.Context, id, by, reason string) (letters.ReplayResult, error) {
	if d.replaying != nil {
		d.replaying()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.letters[id]
	switch {
	case d.refuse != "":
		return letters.ReplayResult{Outcome: letters.ReplayRefused, Text: d.refuse, Letter: *l}, nil
	case l.State == letters.StateReplaying:
		return letters.ReplayResult{Outcome: letters.ReplayBusy, Text: "Another replay is sending it.", Letter: *l}, nil
	case l.State == letters.StateReplayed:
		return letters.ReplayResult{Outcome: letters.ReplayAlready, Text: "It was replayed before.", Letter: *l}, nil
	}
	l.State = letters.StateReplayed
	l.Replays++
	d.sent = append(d.sent, id)
	d.audit(by, letters.ActionReplay, id, reason)
	return letters.ReplayResult{Outcome: letters.ReplaySent, Text: "It was sent.", Letter: *l}, nil
}

func (d *desk) Preview(_ context.Context, r letters.ReplayRequest) (letters.Preview, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.chosen(&r.Filter)
	return letters.Preview{Matched: int64(len(all)), Sample: all[:min(3, len(all))], Takes: time.Minute}, d.err
}

func (d *desk) Start(_ context.Context, r letters.ReplayRequest) (letters.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = append(d.started, r)
	o := &letters.Operation{
		ID: uuid.NewString(), State: letters.OperationRunning, Filter: r.Filter, Rate: r.Rate, Limit: r.Limit,
		By: r.By, Reason: r.Reason, Matched: int64(len(d.chosen(&r.Filter))), CreatedAt: now,
	}
	d.operations[o.ID] = o
	d.audit(r.By, letters.ActionStartOperation, o.ID, r.Reason)
	return *o, nil
}

func (d *desk) Payload(_ context.Context, l *letters.Letter) (io.ReadCloser, int64, error) {
	if d.open != nil {
		content, size := d.open(l.ID)
		return content, size, d.err
	}
	return io.NopCloser(bytes.NewReader(l.Payload)), int64(len(l.Payload)), d.err
}

func (d *desk) GetOperation(_ context.Context, id string) (letters.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o, ok := d.operations[id]; ok {
		return *o, d.err
	}
	return letters.Operation{}, fmt.Errorf("read operation %s: %w", id, letters.ErrNotFound)
}

func (d *desk) ListOperations(_ context.Context, after *letters.Cursor, limit int) (letters.OperationPage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []letters.Operation
	for _, o := range d.operations {
		if after == nil || o.ID > after.ID {
			all = append(all, *o)
		}
	}
	slices.SortFunc(all, func(a, b letters.Operation) int { return cmp.Compare(a.ID, b.ID) })
	page := letters.OperationPage{Operations: all[:min(limit, len(all))]}
	if len(all) > limit {
		page.Next = &letters.Cursor{At: all[limit-1].CreatedAt, ID: all[limit-1].ID}
	}
	return page, d.err
}

func (d *desk) CancelOperation(_ context.Context, id, by, reason string) (letters.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.operations[id]
	if o.State != letters.OperationRunning {
		return *o, fmt.Errorf("cancel operation %s: %w", id, letters.ErrState)
	}
	o.State, o.FinishedAt = letters.OperationCancelled, now.Add(time.Minute)
	d.audit(by, letters.ActionCancelOperation, id, reason)
	return *o, nil
}

func (d *desk) ListAudit(
	_ context.Context, f letters.AuditFilter, after *letters.Cursor, limit int,
) (letters.AuditPage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var page letters.AuditPage
	for _, a := range d.audits {
		if (f.Target == "" || f.Target == a.Target) && (f.Who == "" || f.Who == a.Who) && (after == nil || a.ID > after.ID) {
			page.Entries = append(page.Entries, a)
		}
	}
	slices.SortFunc(page.Entries, func(a, b letters.Audit) int { return cmp.Compare(a.ID, b.ID) })
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = &letters.Cursor{At: now, ID: page.Entries[limit-1].ID}
	}
	return page, d.err
}

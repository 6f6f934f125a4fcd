package notify

import (
	"context"
	"sync"
	"time"
)

// maxBatch bounds the facts of one commit.
const maxBatch = 200

// collector makes many callers with facts of one group share one commit. The
// caller whose fact opens a batch waits a moment for others and commits for all
// of them; so there is no goroutine that could outlive its callers, and every
// caller knows whether its own fact is on record.
type collector struct {
	every  time.Duration
	now    func() time.Time
	commit func(ctx context.Context, id string, facts []Fact) error

	mu    sync.Mutex
	lines map[string]*gather
}

// gather is the place of one group's facts.
type gather struct {
	// busy holds one token while a batch is committed: batches of a group go one
	// after another, as they change one document.
	busy chan struct{}
	// open is the batch that takes facts; nil for none.
	open *batch
	// next is when the next commit may be made.
	next time.Time
	// users counts callers; a line without any is removed when next has passed.
	users int
}

// batch is what one commit will count. Only its leader writes err, before done
// is closed.
type batch struct {
	facts []Fact
	full  chan struct{}
	done  chan struct{}
	err   error
}

func newCollector(every time.Duration, now func() time.Time, commit func(context.Context, string, []Fact) error) *collector {
	return &collector{every: every, now: now, commit: commit, lines: map[string]*gather{}}
}

// add returns when the fact has been committed, or with the error of that
// commit, or of ctx. After an error of ctx the fact may be counted yet.
func (c *collector) add(ctx context.Context, id string, fact Fact) error {
	l, b, leads := c.join(id, fact)
	defer c.leave(l)
	if leads {
		c.lead(ctx, id, l, b)
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// join puts the fact into the open batch of its group, or into a new one, which
// the caller then leads.
func (c *collector) join(id string, fact Fact) (l *gather, b *batch, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l = c.lines[id]
	if l == nil {
		c.tidy()
		l = &gather{busy: make(chan struct{}, 1)}
		c.lines[id] = l
	}
	l.users++
	if b = l.open; b == nil {
		b = &batch{full: make(chan struct{}), done: make(chan struct{})}
		l.open, leads = b, true
	}
	b.facts = append(b.facts, fact)
	if len(b.facts) == maxBatch {
		l.open = nil
		close(b.full)
	}
	return l, b, leads
}

// lead waits for company and commits. A leader whose own context ends commits at
// once and for all the same: the others wait for it.
func (c *collector) lead(ctx context.Context, id string, l *gather, b *batch) {
	defer close(b.done)
	l.busy <- struct{}{}
	defer func() { <-l.busy }()
	c.mu.Lock()
	wait := l.next.Sub(c.now())
	c.mu.Unlock()
	if wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-b.full:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	c.mu.Lock()
	if l.open == b {
		l.open = nil
	}
	c.mu.Unlock()
	b.err = c.commit(context.WithoutCancel(ctx), id, b.facts)
	c.mu.Lock()
	l.next = c.now().Add(c.every)
	c.mu.Unlock()
}

func (c *collector) leave(l *gather) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users--
}

// tidyFrom is how many groups are kept before idle ones are removed.
const tidyFrom = 256

func (c *collector) tidy() {
	if len(c.lines) < tidyFrom {
		return
	}
	now := c.now()
	for id, l := range c.lines {
		if l.users == 0 && !l.next.After(now) {
			delete(c.lines, id)
		}
	}
}

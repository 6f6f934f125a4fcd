package notify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

// Run sends what is on record until ctx ends. It returns nil: what could not be
// sent stays on record, and a store that does not answer is asked again.
func (n *Notifier) Run(ctx context.Context) error {
	backoff := resilience.Backoff{Initial: time.Second, Max: lookEvery}
	for failures := 0; ctx.Err() == nil; {
		p, err := n.send.run(ctx)
		wait := lookEvery
		switch {
		case ctx.Err() != nil: // the loop ends
		case err != nil:
			n.log.Warn().Err(err).Msg("notices could not be sent")
			wait = backoff.Delay(failures)
			failures++
		case !p.next.IsZero():
			failures = 0
			wait = min(wait, max(p.next.Sub(n.now()), pause))
		default:
			failures = 0
		}
		// After a failure of the store a nudge is no reason to ask it sooner.
		n.pause(ctx, wait, err == nil)
	}
	return nil
}

// pause is the least time between two looks at the store.
const pause = 50 * time.Millisecond

// Drain sends what is due and returns nil when the digests that this process has
// posted need no more sending, for a process that ends. Notices of other processes
// are sent as well, but not waited for: one that Slack refuses may stay for days.
// Give it a context that ends: it waits while Slack asks for a rest or does not
// answer, and then says how many are left for other processes.
func (n *Notifier) Drain(ctx context.Context) error {
	for {
		p, err := n.send.run(ctx)
		if err != nil {
			return fmt.Errorf("send notices: %w", err)
		}
		left, err := n.untold(ctx)
		if err != nil {
			return fmt.Errorf("send notices: %w", err)
		}
		if left == 0 {
			return nil
		}
		n.pause(ctx, max(p.next.Sub(n.now()), pause), true)
		if ctx.Err() != nil {
			return fmt.Errorf("send notices: %d digests are left on record, and %d notices in all: %w", left, p.left, context.Cause(ctx))
		}
	}
}

// untold is how many of the digests that this process has posted are not sent.
func (n *Notifier) untold(ctx context.Context) (left int, err error) {
	n.mu.Lock()
	ids := slices.Clone(n.posted)
	n.mu.Unlock()
	if len(ids) == 0 {
		return 0, nil
	}
	err = n.store.Change(ctx, ids, func(notices []*Notice) bool {
		left = 0
		for _, notice := range notices {
			if notice.State == StateOpen {
				left++
			}
		}
		return false
	})
	if err != nil {
		return 0, fmt.Errorf("look at the digests of this process: %w", err)
	}
	return left, nil
}

// pause waits for a while, or less when there is something new.
func (n *Notifier) pause(ctx context.Context, wait time.Duration, nudged bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	wake := n.wake
	if !nudged {
		wake = nil
	}
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

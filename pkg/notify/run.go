package notify

import (
	"context"
	"fmt"
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

// Drain sends what is due and returns nil when nothing is left that ought to be
// sent, for a process that ends. Give it a context that ends: it waits while
// Slack asks for a rest or does not answer, and then says how many notices are
// left for other processes.
func (n *Notifier) Drain(ctx context.Context) error {
	for {
		p, err := n.send.run(ctx)
		if err != nil {
			return fmt.Errorf("send notices: %w", err)
		}
		if p.left == 0 {
			return nil
		}
		n.pause(ctx, max(p.next.Sub(n.now()), pause), true)
		if ctx.Err() != nil {
			return fmt.Errorf("send notices: %d are left on record: %w", p.left, context.Cause(ctx))
		}
	}
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

package deliver

import (
	"context"
	"fmt"
)

// Drained waits until nothing is left to send or to judge, and returns an error
// if ctx ends before, or if any fact was refused for good or dropped.
func (q *Queue) Drained(ctx context.Context) error {
	q.mu.Lock()
	drained := q.drained
	if drained == nil {
		drained = make(chan struct{})
		if len(q.busy) == 0 {
			close(drained)
		} else {
			q.drained = drained
		}
	}
	q.mu.Unlock()
	select {
	case <-drained:
	case <-ctx.Done():
		return fmt.Errorf("wait for %d facts to be confirmed: %w", q.Pending(), context.Cause(ctx))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refused > 0 {
		return fmt.Errorf("%d facts were refused for good", q.refused)
	}
	if q.dropped > 0 {
		return fmt.Errorf("%d phases could not be published and were dropped", q.dropped)
	}
	return nil
}

package run

import (
	"context"
	"sync/atomic"
)

// limit bounds how many jobs a run judges. Room is taken before a job is handed
// out, so that every job that was handed out is judged: where a walk stops, none
// before it is passed over. Whether a job counts shows only when it is looked at,
// so the room of one that does not is given back.
type limit struct {
	room chan struct{}
	left atomic.Int64
	// full is closed when as many were judged as may be.
	full chan struct{}
}

// newLimit returns a limit of so many jobs; nil for n of 0, which is none.
func newLimit(n int) *limit {
	if n == 0 {
		return nil
	}
	l := &limit{room: make(chan struct{}, n), full: make(chan struct{})}
	l.left.Store(int64(n))
	return l
}

// take waits until there is room for one more job, or there will be none. The
// error says why there is none.
func (l *limit) take(ctx context.Context) error {
	if l == nil {
		return nil
	}
	select {
	case l.room <- struct{}{}:
		return nil
	case <-l.full:
		return errLimit
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// giveBack makes room again: the job is not one of those to be judged.
func (l *limit) giveBack() {
	if l != nil {
		<-l.room
	}
}

// use keeps the room: the job was judged.
func (l *limit) use() {
	if l != nil && l.left.Add(-1) == 0 {
		close(l.full)
	}
}

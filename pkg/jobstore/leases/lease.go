package leases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/jobstore"
)

// Lease is one that was acquired. Keep and Release are for one goroutine, Fence
// for any.
type Lease struct {
	store *Store
	name  string
	row
	updated time.Time
}

// Number is the token: it rises with every new holder of the lease.
func (l *Lease) Number() int64 { return l.Token }

// Fence is what a commit about key must require: it is refused once the lease
// has passed to another.
func (l *Lease) Fence(key string) jobstore.Fence {
	return jobstore.Fence{Collection: collectionFences(l.name), Document: fenceName(l.Token, spread(key)), Token: l.Token}
}

// Keep renews the lease until the returned context ends. That is when stop is
// called, which waits for the renewal in hand, or when the lease is lost, with
// ErrLost as its cause.
func (l *Lease) Keep(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.keep(held, cancel)
	}()
	return held, func() {
		cancel(context.Canceled)
		<-done
	}
}

func (l *Lease) keep(ctx context.Context, lose context.CancelCauseFunc) {
	every := l.store.cfg.TTL / 3
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := l.Renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrLost):
			lose(err)
			return
		case err != nil && !l.store.now().Before(l.Until):
			lose(fmt.Errorf("%w: it could not be renewed in time: %w", ErrLost, err))
			return
		case err != nil:
			timer.Reset(every / 4) // there is time for some more tries
		default:
			timer.Reset(every)
		}
	}
}

// Renew prolongs the lease. Errors wrap ErrLost when another holds it, else it is
// still held until its time is over.
func (l *Lease) Renew(ctx context.Context) error {
	if err := l.extend(ctx, l.store.now().Add(l.store.cfg.TTL)); err != nil {
		return fmt.Errorf("renew lease %s: %w", l.name, err)
	}
	return nil
}

// Release gives the lease up, so that the next holder need not wait.
func (l *Lease) Release(ctx context.Context) error {
	if err := l.extend(ctx, l.store.now()); err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("give up lease %s: %w", l.name, err)
	}
	return nil
}

func (l *Lease) extend(ctx context.Context, until time.Time) error {
	err := l.write(ctx, until)
	if !errors.Is(err, jobstore.ErrConflict) {
		return err
	}
	// The answer to an earlier renewal may have been lost.
	is, updated, err := l.store.read(ctx, l.name)
	switch {
	case err != nil:
		return err
	case is.Token != l.Token || is.Holder != l.Holder:
		return fmt.Errorf("%w to %s", ErrLost, is.Holder)
	}
	l.updated = updated
	return l.write(ctx, until)
}

func (l *Lease) write(ctx context.Context, until time.Time) error {
	//nolint:staticcheck // see handOver
	batch := l.store.client.Batch().Update(l.store.ref(l.name),
		[]firestore.Update{{Path: "until", Value: until}}, firestore.LastUpdateTime(l.updated))
	updated, err := l.store.commit(ctx, batch)
	if err == nil {
		l.updated, l.Until = updated, until
	}
	return err
}

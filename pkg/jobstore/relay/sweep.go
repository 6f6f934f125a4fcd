package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/jobstore"
)

// Swept is what a sweep did.
type Swept struct {
	// Published is how many entries were sent (or refused for good) and deleted.
	Published int
	// Young is how many were left as they are most likely on their way.
	Young int
}

// sweepUntilDone sweeps at once, for what an earlier process left, and then
// again and again. Replicas sweep the same outbox: a varied pause keeps them out
// of step, so that one mostly finds what the other has sent already gone.
func (r *Relay) sweepUntilDone(ctx context.Context) {
	for ctx.Err() == nil {
		swept, err := r.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn().Err(err).Int("published", swept.Published).Msg("sweep of the outbox ended early")
		case swept.Published > 0:
			r.log.Info().Int("published", swept.Published).Msg("swept the outbox")
		}
		pause := r.cfg.SweepEvery * time.Duration(80+rand.IntN(41)) / 100 //nolint:gosec // no secret
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// Sweep walks through the outbox once and sends what is old enough. A topic to
// which something could not be sent is left out for the rest of the sweep, as it
// is then most likely away, and the error says why; the other topics go on, or
// one message that nobody can send would hold back all behind it. A process that
// only sends what it left, such as recovery-job, calls it without Run.
func (r *Relay) Sweep(ctx context.Context) (Swept, error) {
	var total Swept
	failed := failures{}
	var oldest time.Duration
	whole := false
	defer func() { r.noteOldest(oldest, whole) }()
	for after := ""; ; {
		page, err := r.outbox.PendingEntries(ctx, after, r.cfg.Page)
		if err != nil {
			r.metrics.sweeps.WithLabelValues(sweepFailed).Inc()
			return total, fmt.Errorf("sweep the outbox: %w", err)
		}
		for _, err := range page.Unreadable {
			r.log.Error().Err(err).Msg("outbox entry cannot be read and stays")
		}
		old := r.old(page.Entries, &oldest)
		total.Young += len(page.Entries) - len(old)
		sent, err := r.sendAndDelete(ctx, old, &failed)
		total.Published += sent
		if after = page.Next; err == nil && after == "" {
			whole = true
			err = failed.err()
		}
		if err != nil {
			r.metrics.sweeps.WithLabelValues(sweepFailed).Inc()
			return total, fmt.Errorf("sweep the outbox: %w", err)
		}
		if after == "" {
			oldest = 0 // all that was old has been sent
			r.metrics.sweeps.WithLabelValues(sweepDone).Inc()
			return total, nil
		}
	}
}

// noteOldest shows how old the oldest entry is that a sweep has left. One that did
// not see the whole outbox says nothing of what it did not see: that has grown
// older since the last whole one, or waits unseen for as long at most.
func (r *Relay) noteOldest(oldest time.Duration, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	if whole {
		r.oldest, r.sweptAt = oldest, now
	}
	r.metrics.oldest.Set(max(oldest, r.oldest+now.Sub(r.sweptAt)).Seconds())
}

// old picks the entries to send and notes the greatest age.
func (r *Relay) old(entries []jobstore.Entry, oldest *time.Duration) []jobstore.Entry {
	now := r.cfg.Now()
	var out []jobstore.Entry
	for i := range entries {
		age := now.Sub(entries[i].CreatedAt)
		*oldest = max(*oldest, age)
		if age >= r.cfg.MinAge && !r.isInHand(entries[i].ID) {
			out = append(out, entries[i])
		}
	}
	return out
}

// failures are the topics to which a sweep could not send, with the first error
// of each.
type failures struct {
	mu sync.Mutex
	by map[string]error
}

func (f *failures) has(topic string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[topic] != nil
}

func (f *failures) add(topic string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]error{}
	}
	if f.by[topic] == nil {
		f.by[topic] = err
	}
}

func (f *failures) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(slices.Collect(maps.Values(f.by))...)
}

// sendAndDelete sends the entries of topics that have not failed and deletes
// those that went out. Its error is that of the deletion, or of ctx.
func (r *Relay) sendAndDelete(ctx context.Context, entries []jobstore.Entry, failed *failures) (int, error) {
	var mu sync.Mutex
	var done []string
	var group errgroup.Group
	group.SetLimit(r.cfg.Workers)
	for i := range entries {
		group.Go(func() error {
			e := &entries[i]
			if ctx.Err() != nil || failed.has(e.Topic) {
				return nil
			}
			if err := r.publish(ctx, e, viaSweep); err != nil {
				failed.add(e.Topic, err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, e.ID)
			return nil
		})
	}
	_ = group.Wait() // the workers keep their errors in failed
	if len(done) > 0 {
		if err := r.outbox.DeleteEntries(ctx, done); err != nil {
			r.metrics.left.WithLabelValues(leftDelete).Add(float64(len(done)))
			return len(done), err //nolint:wrapcheck // the caller says what it was for
		}
	}
	return len(done), context.Cause(ctx)
}

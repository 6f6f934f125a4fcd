package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// Sweep walks through the outbox once and sends what is old enough. It ends at
// the first page of which something could not be sent, as Pub/Sub is then most
// likely away, and says why; what it did until then is done. A process that only
// sends what it left, such as recovery-job, calls it without Run.
func (r *Relay) Sweep(ctx context.Context) (Swept, error) {
	var total Swept
	var oldest time.Duration
	defer func() { r.metrics.oldest.Set(oldest.Seconds()) }()
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
		sent, err := r.sendAndDelete(ctx, old)
		total.Published += sent
		if err != nil {
			r.metrics.sweeps.WithLabelValues(sweepFailed).Inc()
			return total, fmt.Errorf("sweep the outbox: %w", err)
		}
		if after = page.Next; after == "" {
			oldest = 0 // all that was old has been sent
			r.metrics.sweeps.WithLabelValues(sweepDone).Inc()
			return total, nil
		}
	}
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

func (r *Relay) sendAndDelete(ctx context.Context, entries []jobstore.Entry) (int, error) {
	var mu sync.Mutex
	var done []string
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(r.cfg.Workers)
	for i := range entries {
		if sending.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := r.publish(sending, &entries[i], viaSweep); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, entries[i].ID)
			return nil
		})
	}
	err := group.Wait()
	if len(done) == 0 {
		return 0, err
	}
	if deleteErr := r.outbox.DeleteEntries(ctx, done); deleteErr != nil {
		r.metrics.left.WithLabelValues(leftDelete).Add(float64(len(done)))
		return len(done), deleteErr
	}
	return len(done), err
}

package jobstore

import (
	"context"
	"fmt"
	"time"
)

// Heartbeat says that a service is at work. recovery-job reads it: silence of a
// job counts only while the pipeline could have spoken.
type Heartbeat struct {
	// Service is the name of the service, the id of the document.
	Service string
	// Instance and Version name the process that writes. Replicas share one
	// document: any of them alive is a sign of life.
	Instance, Version string
	// At is when it was written.
	At time.Time
	// ProgressAt is when the service last finished a piece of its work; zero
	// when it has had none yet.
	ProgressAt time.Time
	// InHand is how many pieces of work it has in hand.
	InHand int64
}

// Beat writes a heartbeat over the one before it.
func (s *Store) Beat(ctx context.Context, h Heartbeat) error {
	_, err := s.db.commit(ctx, []write{{
		kind: writeSet, collection: collectionHeartbeats, id: h.Service,
		fields: map[string]any{
			"instance": h.Instance, "version": h.Version, "at": h.At.UTC(),
			"progress_at": timeField(h.ProgressAt.UTC()), "in_hand": h.InHand,
		},
	}})
	if err != nil {
		return fmt.Errorf("write heartbeat of %s: %w", h.Service, err)
	}
	return nil
}

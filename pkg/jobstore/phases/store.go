package phases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/internal/calls"
	"github.com/envision/resiliency/pkg/resilience"
)

// DefaultTimeout bounds one call to Firestore. A commit holds up to 500 documents.
const DefaultTimeout = 10 * time.Second

// MaxCommit is how many documents one commit may hold: Firestore's limit of old,
// kept because larger ones are no faster. maxCommitBytes keeps well below the 10
// MiB of a request.
const (
	MaxCommit      = 500
	maxCommitBytes = 4 << 20
)

// Store reads and writes phases. It is safe for concurrent use.
type Store struct {
	db    *firestore.Client
	calls *calls.Calls
}

// New returns a store on a Firestore client, which stays the caller's to close.
// timeout bounds one call; 0 is DefaultTimeout.
func New(client *firestore.Client, timeout time.Duration, reg prometheus.Registerer) *Store {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Store{db: client, calls: calls.New("phases", timeout, reg)}
}

// Commit writes all documents or none, at most MaxCommit and none twice. Errors
// are of category permanent when Firestore refuses one of them as it is, and of
// category dependency when it does not answer.
func (s *Store) Commit(ctx context.Context, docs []*Document) error {
	if len(docs) == 0 {
		return nil
	}
	err := s.calls.Do(ctx, "commit", func(ctx context.Context) error {
		//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, seven times as slow.
		batch := s.db.Batch()
		for _, d := range docs {
			ref := s.db.Collection(jobstore.CollectionPhases(d.JobID)).Doc(d.ID)
			if ref == nil {
				return resilience.Permanent(fmt.Errorf("%q is no document id", d.ID))
			}
			// Merged, so that each source's word on one fact stays.
			batch.Set(ref, d.fields, firestore.MergeAll)
		}
		_, err := batch.Commit(ctx)
		return err //nolint:wrapcheck // Do marks it
	})
	if errors.Is(err, jobstore.ErrConflict) {
		// Nothing here has a precondition: it was contended, and may be tried again.
		err = resilience.Retryable(err)
	}
	if err != nil {
		return fmt.Errorf("store %d phases, the first %s of job %s: %w", len(docs), docs[0].ID, docs[0].JobID, err)
	}
	return nil
}

package letters

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/resilience"
)

// ref is nil-safe: ids come from URLs.
func (s *Store) ref(collection, id string) (*firestore.DocumentRef, error) {
	if id == "" || strings.ContainsRune(id, '/') {
		return nil, ErrNotFound
	}
	ref := s.db.Collection(collection).Doc(id)
	if ref == nil {
		return nil, ErrNotFound
	}
	return ref, nil
}

// read fills into with one document.
func (s *Store) read(ctx context.Context, collection, id string, into any) (*firestore.DocumentSnapshot, error) {
	ref, err := s.ref(collection, id)
	if err != nil {
		return nil, err
	}
	docs, err := s.calls.Get(ctx, s.db, []*firestore.DocumentRef{ref})
	if err != nil {
		return nil, err //nolint:wrapcheck // the callers say of what
	}
	snap := docs[0]
	if !snap.Exists() {
		return nil, ErrNotFound
	}
	if err := snap.DataTo(into); err != nil {
		return nil, resilience.Permanent(fmt.Errorf("decode %s/%s: %w", collection, id, err))
	}
	return snap, nil
}

// commit carries out all writes of the batch or none.
func (s *Store) commit(ctx context.Context, batch *writeBatch) (time.Time, error) {
	var at time.Time
	err := s.calls.Do(ctx, "commit", func(ctx context.Context) error {
		results, err := batch.Commit(ctx)
		if err != nil {
			return err //nolint:wrapcheck // Do marks it
		}
		at = results[0].UpdateTime
		return nil
	})
	return at, err //nolint:wrapcheck // the callers say of what
}

// writeBatch is one commit with preconditions.
//
//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, which is not atomic.
type writeBatch = firestore.WriteBatch

// batch begins a commit.
func (s *Store) batch() *writeBatch { return s.db.Batch() } //nolint:staticcheck // see writeBatch

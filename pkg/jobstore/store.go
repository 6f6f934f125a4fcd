package jobstore

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/envision/resiliency/pkg/job"
)

// Store reads and changes job records. It is safe for concurrent use.
type Store struct {
	settings
	db      *observed
	cache   *cache
	locks   *keyLocks
	metrics *storeMetrics
	// doubts are changes by job id whose commit was not answered: if it was made
	// all the same, the next claim about the job finds out, and what it put into
	// the outbox goes out at once and not with the next sweep.
	doubts *lru.Cache[string, *change]
	uids   *uidIndex
	// searches are the UIDs that are being searched for.
	searches *keyLocks
}

// maxDoubts bounds the changes in doubt: more than can be in hand at once.
const maxDoubts = 1024

// New returns a store on a Firestore client, which stays the caller's to close.
func New(client *firestore.Client, opts ...Option) *Store {
	return newStore(firestoreBackend{client: client}, opts...)
}

func newStore(b backend, opts ...Option) *Store {
	set := defaults()
	for _, opt := range opts {
		opt(&set)
	}
	doubts, _ := lru.New[string, *change](maxDoubts) // fails only for a size of 0
	return &Store{
		settings: set,
		doubts:   doubts,
		db:       newObserved(b, set.timeout, set.now, set.registerer),
		cache:    newCache(set.cacheSize, set.cacheAge, set.now),
		locks:    newKeyLocks(),
		uids:     newUIDIndex(set.now),
		searches: newKeyLocks(),
		metrics:  newStoreMetrics(set.registerer),
	}
}

// Stored is a record as it was read. Record is shared with the store's cache
// and must not be changed.
type Stored struct {
	Record *job.Record
	Meta   Meta
	// UpdateTime is the server's time of the last write to the document, whoever
	// made it.
	UpdateTime time.Time

	layout int64
}

// Get reads a record from Firestore, past the cache. found is false, without
// an error, when there is none. Errors are of category dependency when Firestore
// does not answer and wrap ErrNewerRelease when a newer release wrote it.
func (s *Store) Get(ctx context.Context, jobID string) (stored Stored, found bool, err error) {
	if err := checkJobID(jobID); err != nil {
		return Stored{}, false, err
	}
	e, err := s.read(ctx, jobID)
	if err != nil || e.record == nil {
		return Stored{}, false, err
	}
	return e.stored(), true, nil
}

func (e *entry) stored() Stored {
	return Stored{Record: e.record, Meta: e.meta, UpdateTime: e.updateTime, layout: e.layout}
}

// Ping reports whether Firestore answers. It asks only when no operation has
// been answered within the last maxAge, so a busy service pings for nothing.
func (s *Store) Ping(ctx context.Context, maxAge time.Duration) error {
	if s.db.answeredWithin(maxAge) {
		return nil
	}
	if _, err := s.db.get(ctx, collectionHeartbeats, "ping"); err != nil {
		return fmt.Errorf("read from Firestore: %w", err)
	}
	return nil
}

// Package ledger keeps in Firestore what each process of phase-tracer has summed up
// about how long things took, by level and bucket of time: ledger/{id}. Each
// process writes documents of its own, so no two ever contend; who reads merges
// them.
//
// It does not know what the sums mean, and nothing but a page of durations depends
// on them.
package ledger

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/internal/calls"
	"github.com/envision/resiliency/pkg/resilience"
)

const collection = "ledger"

// Limits of what is kept.
const (
	// MaxData is how many bytes one sum may have; Firestore bounds a document at 1 MiB.
	MaxData = 900 << 10
	// maxSums is how many sums one reading merges, maxRead how many bytes.
	maxSums = 2000
	maxRead = 64 << 20
)

// Sum is what one process has summed up in one bucket.
type Sum struct {
	// ID is unique to the process and the bucket.
	ID string `firestore:"-"`
	// Level names the length of buckets.
	Level string `firestore:"level"`
	// Bucket is when the bucket begins.
	Bucket time.Time `firestore:"bucket"`
	Data   []byte    `firestore:"data"`
	// ExpireAt is when Firestore may delete it.
	ExpireAt time.Time `firestore:"expire_at"`
}

// Store keeps sums. It is safe for concurrent use.
type Store struct {
	db    *firestore.Client
	calls *calls.Calls
}

// New returns a store on a Firestore client, which stays the caller's to close.
// timeout bounds one call.
func New(client *firestore.Client, timeout time.Duration, reg prometheus.Registerer) *Store {
	return &Store{db: client, calls: calls.New("ledger", timeout, reg)}
}

// Save writes a sum over the one of its id.
func (s *Store) Save(ctx context.Context, sum *Sum) error {
	ref := s.db.Collection(collection).Doc(sum.ID)
	if ref == nil || len(sum.Data) > MaxData {
		return resilience.Permanent(fmt.Errorf("save sum %q of %d bytes: it cannot be a document", sum.ID, len(sum.Data)))
	}
	err := s.calls.Do(ctx, "commit", func(ctx context.Context) error {
		_, err := ref.Set(ctx, sum)
		return err //nolint:wrapcheck // Do marks it
	})
	if err != nil {
		return fmt.Errorf("save sum %s: %w", sum.ID, err)
	}
	return nil
}

// Read returns the sums of a level whose buckets begin from from on and before to,
// the newest first. complete is false when there are more than can be merged.
func (s *Store) Read(ctx context.Context, level string, from, to time.Time) (sums []Sum, complete bool, err error) {
	query := s.db.Collection(collection).Where("level", "==", level).
		Where("bucket", ">=", from.UTC()).Where("bucket", "<", to.UTC()).OrderBy("bucket", firestore.Desc).Limit(maxSums)
	size := 0
	docs, err := s.calls.Some(ctx, query, func(doc *firestore.DocumentSnapshot) bool {
		data, _ := doc.Data()["data"].([]byte)
		size += len(data)
		return size < maxRead
	})
	if err != nil {
		return nil, false, fmt.Errorf("read sums of level %s: %w", level, err)
	}
	sums = make([]Sum, len(docs))
	for i, doc := range docs {
		if err := doc.DataTo(&sums[i]); err != nil {
			return nil, false, resilience.Permanent(fmt.Errorf("read sum %s: %w", doc.Ref.ID, err))
		}
		sums[i].ID = doc.Ref.ID
	}
	return sums, len(docs) < maxSums && size < maxRead, nil
}

// Indexes are the composite indexes that the queries of this package need.
func Indexes() []jobstore.Index {
	return []jobstore.Index{{Collection: collection, Fields: []jobstore.IndexField{{Path: "level"}, {Path: "bucket", Descending: true}}}}
}

// Exemptions are the fields that must not be indexed.
func Exemptions() []jobstore.Exemption {
	return []jobstore.Exemption{{Collection: collection, Field: "data"}, {Collection: collection, Field: "expire_at"}}
}

// TTLs are the fields by which documents expire.
func TTLs() []jobstore.TTL { return []jobstore.TTL{{Collection: collection, Field: "expire_at"}} }

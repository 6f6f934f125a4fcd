package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Collections of the database.
const (
	collectionJobs       = "jobs"
	collectionOutbox     = "outbox"
	collectionHeartbeats = "heartbeats"
)

// backend is what the store needs of a document database: single reads,
// atomic commits with preconditions, and a walk through a collection.
type backend interface {
	// get reads one document; one that does not exist is no error.
	get(ctx context.Context, collection, id string) (document, error)
	// commit carries out all writes or none, and returns the update time that
	// the written documents have from then on.
	commit(ctx context.Context, writes []write) (time.Time, error)
	// list returns up to limit documents whose id is greater than after, in the
	// order of their ids.
	list(ctx context.Context, collection, after string, limit int) ([]document, error)
	// find returns up to limit documents whose field at a path of map keys has
	// the value.
	find(ctx context.Context, collection string, path []string, value any, limit int) ([]document, error)
	// query returns the documents that q chooses, in its order.
	query(ctx context.Context, q *query) ([]document, error)
	// count returns how many of these documents there are; at most maxIDs.
	count(ctx context.Context, collection string, ids []string) (int, error)
	// getAll reads documents at once, in the order of their ids; one that does not
	// exist is no error.
	getAll(ctx context.Context, collection string, ids []string) ([]document, error)
}

// document is one stored document. Integers are int64, times UTC.
type document struct {
	id         string
	exists     bool
	fields     map[string]any
	updateTime time.Time
}

type writeKind uint8

const (
	// writeCreate fails with AlreadyExists when the document exists.
	writeCreate writeKind = iota + 1
	// writeUpdate sets single fields and fails with FailedPrecondition or
	// NotFound unless the document's update time is ifUpdatedAt.
	writeUpdate
	// writeSet replaces the document, whether or not it exists.
	writeSet
	// writeDelete removes the document, if it exists.
	writeDelete
	// writeRequire fails with NotFound unless the document exists, and leaves it
	// as it is: fields are those that it has.
	writeRequire
)

// write is one change within a commit.
type write struct {
	kind           writeKind
	collection, id string
	// fields is the whole document, for writeCreate and writeSet.
	fields map[string]any
	// updates are the fields to set, for writeUpdate and writeRequire; no path
	// twice, none the prefix of another.
	updates     []fieldUpdate
	ifUpdatedAt time.Time
}

// fieldUpdate sets the field at a path of map keys.
type fieldUpdate struct {
	path  []string
	value any
}

// firestoreBackend is the real backend.
type firestoreBackend struct{ client *firestore.Client }

var _ backend = firestoreBackend{}

func (b firestoreBackend) get(ctx context.Context, collection, id string) (document, error) {
	ref, err := b.ref(collection, id)
	if err != nil {
		return document{}, err
	}
	snap, err := ref.Get(ctx)
	// A missing document comes with a snapshot; NotFound without one means that
	// the database itself is missing.
	if status.Code(err) == codes.NotFound && snap != nil {
		return document{id: id}, nil
	}
	if err != nil {
		return document{}, err
	}
	return fromSnapshot(snap), nil
}

func (b firestoreBackend) commit(ctx context.Context, writes []write) (time.Time, error) {
	//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, which is not atomic.
	batch := b.client.Batch()
	for i := range writes {
		w := &writes[i]
		ref, err := b.ref(w.collection, w.id)
		if err != nil {
			return time.Time{}, err
		}
		switch w.kind {
		case writeCreate:
			batch.Create(ref, w.fields)
		case writeUpdate:
			batch.Update(ref, toUpdates(w.updates), firestore.LastUpdateTime(w.ifUpdatedAt))
		case writeSet:
			batch.Set(ref, w.fields)
		case writeDelete:
			batch.Delete(ref)
		case writeRequire:
			batch.Update(ref, toUpdates(w.updates)) // an update requires its document
		}
	}
	results, err := batch.Commit(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return results[0].UpdateTime, nil
}

func (b firestoreBackend) list(ctx context.Context, collection, after string, limit int) ([]document, error) {
	query := b.client.Collection(collection).OrderBy(firestore.DocumentID, firestore.Asc).Limit(limit)
	if after != "" {
		query = query.StartAfter(after)
	}
	return documents(ctx, query)
}

func (b firestoreBackend) find(ctx context.Context, collection string, path []string, value any, limit int) ([]document, error) {
	return documents(ctx, b.client.Collection(collection).WherePath(path, "==", value).Limit(limit))
}

func documents(ctx context.Context, query firestore.Query) ([]document, error) {
	docs := query.Documents(ctx)
	defer docs.Stop()
	var out []document
	for {
		snap, err := docs.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, fromSnapshot(snap))
	}
}

func (b firestoreBackend) ref(collection, id string) (*firestore.DocumentRef, error) {
	ref := b.client.Collection(collection).Doc(id)
	if ref == nil {
		return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("%q is no document id", id))
	}
	return ref, nil
}

func fromSnapshot(snap *firestore.DocumentSnapshot) document {
	return document{id: snap.Ref.ID, exists: true, fields: snap.Data(), updateTime: snap.UpdateTime}
}

func toUpdates(fields []fieldUpdate) []firestore.Update {
	updates := make([]firestore.Update, len(fields))
	for i, f := range fields {
		updates[i] = firestore.Update{FieldPath: f.path, Value: f.value}
	}
	return updates
}

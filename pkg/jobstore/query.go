package jobstore

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
)

// query chooses documents of one collection by its fields.
type query struct {
	collection string
	where      []condition
	// orderBy is the field that orders the documents; their ids break ties, in
	// the same direction.
	orderBy    string
	descending bool
	// after is where the query begins; nil for its first document.
	after *position
	limit int
}

// condition holds a field against a value.
type condition struct {
	field string
	// op is "==", "<=" or "in".
	op    string
	value any
}

// position is a place in the order of a query.
type position struct {
	value any
	id    string
}

// maxIDs is how many documents one count may ask for: Firestore's limit of "in".
const maxIDs = 30

func (b firestoreBackend) query(ctx context.Context, q *query) ([]document, error) {
	direction := firestore.Asc
	if q.descending {
		direction = firestore.Desc
	}
	from := b.client.Collection(q.collection).Query
	for _, c := range q.where {
		from = from.Where(c.field, c.op, c.value)
	}
	from = from.OrderBy(q.orderBy, direction).OrderBy(firestore.DocumentID, direction).Limit(q.limit)
	if q.after != nil {
		from = from.StartAfter(q.after.value, q.after.id)
	}
	return documents(ctx, from)
}

func (b firestoreBackend) count(ctx context.Context, collection string, ids []string) (int, error) {
	refs, err := b.refs(collection, ids)
	if err != nil {
		return 0, err
	}
	chosen := b.client.Collection(collection).Where(firestore.DocumentID, "in", refs)
	result, err := chosen.NewAggregationQuery().WithCount("n").Get(ctx)
	if err != nil {
		return 0, err
	}
	n, ok := result["n"].(*firestorepb.Value)
	if !ok {
		return 0, errors.New("the count has no value")
	}
	return int(n.GetIntegerValue()), nil
}

func (b firestoreBackend) getAll(ctx context.Context, collection string, ids []string) ([]document, error) {
	refs, err := b.refs(collection, ids)
	if err != nil {
		return nil, err
	}
	snaps, err := b.client.GetAll(ctx, refs)
	if err != nil {
		return nil, err
	}
	out := make([]document, len(snaps))
	for i, snap := range snaps {
		if !snap.Exists() {
			out[i] = document{id: ids[i]}
			continue
		}
		out[i] = fromSnapshot(snap)
	}
	return out, nil
}

func (b firestoreBackend) refs(collection string, ids []string) ([]*firestore.DocumentRef, error) {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		ref, err := b.ref(collection, id)
		if err != nil {
			return nil, fmt.Errorf("document %d of %d: %w", i+1, len(ids), err)
		}
		refs[i] = ref
	}
	return refs, nil
}

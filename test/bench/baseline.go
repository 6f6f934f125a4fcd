package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
)

// template is what the product wrote for one job, to be written by the bare
// loops too: the documents are the same, only the way to them differs.
type template struct {
	client *firestore.Client
	// first is the whole record; changed are the fields that a later step
	// changes, by the step's parity; entry is the outbox document of an even step.
	first   map[string]any
	changed [2][]firestore.Update
	entry   map[string]any
}

// record plays some steps through the product and reads back what it wrote.
func (p *statusPath) record(ctx context.Context) (*template, error) {
	const id = "template"
	t := &template{client: p.client}
	docs := make([]map[string]any, 4)
	for step := range docs {
		if err := p.step(ctx, id, step); err != nil {
			return nil, fmt.Errorf("step %d of the template: %w", step, err)
		}
		snap, err := p.client.Collection("jobs").Doc(id).Get(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the template: %w", err)
		}
		docs[step] = snap.Data()
	}
	entries, err := p.client.Collection("outbox").Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("read the template's outbox: %w", err)
	}
	if len(entries) == 0 {
		return nil, errors.New("read the template's outbox: it is empty, so the loops would not do the same")
	}
	t.first, t.entry = docs[0], entries[0].Data()
	t.changed[1], t.changed[0] = difference(docs[2], docs[3]), difference(docs[1], docs[2])
	return t, nil
}

// difference lists the top-level fields in which two documents differ.
func difference(from, to map[string]any) []firestore.Update {
	var updates []firestore.Update
	for _, field := range slices.Sorted(maps.Keys(to)) {
		if !reflect.DeepEqual(from[field], to[field]) {
			updates = append(updates, firestore.Update{FieldPath: firestore.FieldPath{field}, Value: to[field]})
		}
	}
	return updates
}

// hasEntry says which steps send an update: the first and every resumption.
func hasEntry(step int) bool { return step%2 == 0 }

func (t *template) docs(id string, step int) (record, entry *firestore.DocumentRef) {
	return t.client.Collection("jobs").Doc(id), t.client.Collection("outbox").Doc(fmt.Sprintf("%s-%d", id, step))
}

// transaction is the loop that Firestore's documentation shows.
func (t *template) transaction(ctx context.Context, id string, step int) error {
	record, entry := t.docs(id, step)
	return t.client.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(record)
		if snap == nil || (err != nil && snap.Exists()) {
			return err
		}
		if !snap.Exists() {
			err = tx.Create(record, t.first)
		} else {
			err = tx.Update(record, t.changed[step%2])
		}
		if err != nil || !hasEntry(step) {
			return err
		}
		return tx.Create(entry, t.entry)
	})
}

// bare is the least that keeps the promise: one commit with a precondition by
// somebody who knows the document's last update time.
func (t *template) bare(workers int) stepFunc {
	var mu sync.Mutex
	times := make(map[string]time.Time, workers)
	return func(ctx context.Context, id string, step int) error {
		record, entry := t.docs(id, step)
		batch := t.client.Batch() //nolint:staticcheck // the only way to an atomic commit with a precondition outside a transaction
		if step == 0 {
			batch.Create(record, t.first)
		} else {
			mu.Lock()
			last := times[id]
			mu.Unlock()
			batch.Update(record, t.changed[step%2], firestore.LastUpdateTime(last))
		}
		if hasEntry(step) {
			batch.Create(entry, t.entry)
		}
		results, err := batch.Commit(ctx)
		if err != nil {
			return fmt.Errorf("bare commit of %s: %w", id, err)
		}
		mu.Lock()
		times[id] = results[0].UpdateTime
		mu.Unlock()
		return nil
	}
}

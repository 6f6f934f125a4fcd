package jobstore

import (
	"context"
	"fmt"
	"time"
)

// Entry is a message that goes out if and only if something was committed. It
// lives in the outbox from that commit until it has been published.
type Entry struct {
	// ID is the message's event id: derived from the fact, so a message that is
	// sent twice carries one id.
	ID string
	// Topic is the short name of the topic to publish it to.
	Topic string
	// Type is the full protobuf name of the message in Payload.
	Type string
	// Payload is the message as binary protobuf.
	Payload []byte
	// Attributes go on the wire beside the payload.
	Attributes map[string]string
	// CreatedAt is when it was committed, by the writer's clock. Apply sets it.
	CreatedAt time.Time
}

// MaxDeletes is how many entries DeleteEntries may take at once.
const MaxDeletes = 300

// stamped sets what only the commit knows of its entries: its time and trace.
func (s *Store) stamped(ctx context.Context, entries []Entry, at time.Time) []Entry {
	for i := range entries {
		entries[i].CreatedAt = at
		if s.trace == nil {
			continue
		}
		if entries[i].Attributes == nil {
			entries[i].Attributes = map[string]string{}
		}
		s.trace(ctx, entries[i].Attributes)
	}
	return entries
}

func (e *Entry) create() write {
	attributes := make(map[string]any, len(e.Attributes))
	for k, v := range e.Attributes {
		attributes[k] = v
	}
	return write{kind: writeCreate, collection: collectionOutbox, id: e.ID, fields: map[string]any{
		"topic": e.Topic, "type": e.Type, "payload": e.Payload,
		"attributes": attributes, "created_at": e.CreatedAt,
	}}
}

func decodeEntry(doc *document) (Entry, error) {
	r := &reader{fields: doc.fields}
	e := Entry{
		ID: doc.id, Topic: r.str("topic"), Type: r.str("type"),
		Payload: readAs[[]byte](r, "payload"), CreatedAt: r.time("created_at"),
	}
	attributes := r.sub("attributes")
	e.Attributes = make(map[string]string, len(attributes.fields))
	for k := range attributes.fields {
		e.Attributes[k] = attributes.str(k)
	}
	if err := r.err(); err != nil {
		return Entry{}, fmt.Errorf("read outbox entry %s: %w", doc.id, err)
	}
	return e, nil
}

// OutboxPage is a part of the outbox.
type OutboxPage struct {
	Entries []Entry
	// Unreadable says what is wrong with entries that cannot be read. They stay
	// where they are, for a later release or a person.
	Unreadable []error
	// Next is where the next page begins; empty at the end.
	Next string
}

// PendingEntries returns up to limit entries whose id is greater than after, in
// the order of their ids. Ids are hashes, so this is no order of time and needs
// no index on one, which would bound how fast entries can be written. Order does
// not matter: who reads updates goes by their revision.
func (s *Store) PendingEntries(ctx context.Context, after string, limit int) (OutboxPage, error) {
	docs, err := s.db.list(ctx, collectionOutbox, after, limit)
	if err != nil {
		return OutboxPage{}, fmt.Errorf("list the outbox after %q: %w", after, err)
	}
	var page OutboxPage
	for i := range docs {
		e, err := decodeEntry(&docs[i])
		if err != nil {
			page.Unreadable = append(page.Unreadable, err)
			continue
		}
		page.Entries = append(page.Entries, e)
	}
	if len(docs) == limit {
		page.Next = docs[len(docs)-1].id
	}
	return page, nil
}

// DeleteEntries removes published entries, at most MaxDeletes; those that are
// gone already are no error.
func (s *Store) DeleteEntries(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	writes := make([]write, len(ids))
	for i, id := range ids {
		writes[i] = write{kind: writeDelete, collection: collectionOutbox, id: id}
	}
	if _, err := s.db.commit(ctx, writes); err != nil {
		return fmt.Errorf("delete %d outbox entries: %w", len(ids), err)
	}
	return nil
}

package letters

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/resilience"
)

// fieldSeen is the time by which letters are chosen and in whose order they come.
const fieldSeen = "last_seen_at"

// List returns up to limit letters that the filter chooses, newest first, after
// the cursor if there is one. It reads limit + 1 documents at most. Errors wrap
// ErrFilter when that cannot be asked for.
func (s *Store) List(ctx context.Context, f Filter, after *Cursor, limit int) (Page, error) {
	if limit < 1 || limit > MaxPage {
		return Page{}, fmt.Errorf("list letters: %w: a page has 1 to %d letters, not %d", ErrFilter, MaxPage, limit)
	}
	query, some, err := s.query(&f)
	if err != nil || !some {
		return Page{}, err
	}
	docs, next, err := s.page(ctx, query.Select(listFields()...), fieldSeen, after, limit)
	if err != nil {
		return Page{}, fmt.Errorf("list letters: %w", err)
	}
	page := Page{Letters: make([]Letter, 0, len(docs)), Next: next}
	for _, doc := range docs {
		l, err := decodeLetter(doc)
		if err != nil {
			return Page{}, fmt.Errorf("list letters: %w", err)
		}
		page.Letters = append(page.Letters, l)
	}
	return page, nil
}

// Count returns how many letters the filter chooses. It costs one read for each
// thousand of them.
func (s *Store) Count(ctx context.Context, f Filter) (int64, error) {
	query, some, err := s.query(&f)
	if err != nil || !some {
		return 0, err
	}
	n, err := s.calls.Count(ctx, newestFirst(query, fieldSeen))
	if err != nil {
		return 0, fmt.Errorf("count letters: %w", err)
	}
	return n, nil
}

// query is the filter as Firestore wants it; some is false when nothing can
// match. Equal conditions are served by merging indexes, see Indexes.
func (s *Store) query(f *Filter) (query firestore.Query, some bool, err error) {
	query = s.db.Collection(collectionLetters).Query
	for _, equal := range []struct{ field, value string }{
		{"state", string(f.State)}, {"fingerprint", f.Fingerprint}, {"category", string(f.Category)},
		{"dependency", f.Dependency}, {"subscription", f.Subscription}, {"job_id", f.JobID},
	} {
		if equal.value != "" {
			query = query.Where(equal.field, "==", equal.value)
		}
	}
	switch {
	case f.Tenants == nil:
	case len(f.Tenants) == 0:
		return query, false, nil
	case len(f.Tenants) > MaxTenants:
		return query, false, resilience.Permanent(fmt.Errorf("choose letters: %w: %d tenants, at most %d can be asked for at once",
			ErrFilter, len(f.Tenants), MaxTenants))
	default:
		query = query.Where("tenant", "in", f.Tenants)
	}
	if !f.From.IsZero() {
		query = query.Where(fieldSeen, ">=", f.From)
	}
	if !f.To.IsZero() {
		query = query.Where(fieldSeen, "<", f.To)
	}
	return query, true, nil
}

// newestFirst gives a query the one order that Indexes serves. A count needs it
// too: of a query without an order but with a bound Firestore assumes the rising
// one, and there is no index for that.
func newestFirst(query firestore.Query, field string) firestore.Query {
	return query.OrderBy(field, firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc)
}

// page runs a query newest first. It reads one document more than it returns,
// to know whether there is a next page.
func (s *Store) page(ctx context.Context, query firestore.Query, field string, after *Cursor, limit int) (
	[]*firestore.DocumentSnapshot, *Cursor, error,
) {
	query = newestFirst(query, field).Limit(limit + 1)
	if after != nil {
		query = query.StartAfter(after.At, after.ID)
	}
	docs, err := s.calls.Documents(ctx, query)
	if err != nil || len(docs) <= limit {
		return docs, nil, err //nolint:wrapcheck // the callers say of what
	}
	docs = docs[:limit]
	last := docs[limit-1]
	at, err := last.DataAt(field)
	if err != nil {
		return nil, nil, resilience.Permanent(fmt.Errorf("read %s of %s: %w", field, last.Ref.ID, err))
	}
	when, err := asTime(at)
	return docs, &Cursor{At: when, ID: last.Ref.ID}, err
}

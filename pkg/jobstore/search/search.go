package search

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/jobstore/internal/calls"
	"github.com/envision/resiliency/pkg/resilience"
)

const (
	collection = "jobs"
	fieldOrder = "updated_at"
	fieldShard = "shard"
)

// DefaultTimeout bounds one call to Firestore.
const DefaultTimeout = 5 * time.Second

// Store searches. It is safe for concurrent use.
type Store struct {
	db     *firestore.Client
	shards int
	calls  *calls.Calls
}

// New returns a store on a Firestore client, which stays the caller's to close.
// shards is over how many shards records are spread; timeout bounds one call, 0 is
// DefaultTimeout.
func New(client *firestore.Client, shards int, timeout time.Duration, reg prometheus.Registerer) *Store {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Store{db: client, shards: max(shards, 1), calls: calls.New("search", timeout, reg)}
}

// Find returns up to limit jobs that the filter chooses, after the cursor if there
// is one: the last changed first, or by id where the filter asks for ids. A job that
// changes while its list is paged through comes to the front. Errors wrap ErrFilter
// when that cannot be asked for, and are of category dependency when Firestore does
// not answer.
func (s *Store) Find(ctx context.Context, f Filter, after *Cursor, limit int) (Page, error) {
	if err := f.check(limit); err != nil {
		return Page{}, err
	}
	if f.Tenants != nil && len(f.Tenants) == 0 {
		return Page{}, nil
	}
	if f.byID() {
		return s.byID(ctx, &f, after, limit)
	}
	rows, err := s.merge(ctx, &f, after, limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("search jobs: %w", err)
	}
	page := Page{Rows: rows[:min(len(rows), limit)]}
	if len(rows) > limit {
		last := &page.Rows[limit-1]
		page.Next = &Cursor{At: last.UpdatedAt, ID: last.JobID}
	}
	return page, nil
}

// byID asks once: ids are in one order over all shards.
func (s *Store) byID(ctx context.Context, f *Filter, after *Cursor, limit int) (Page, error) {
	from, to := f.JobID, f.JobID
	if f.Prefix != "" {
		from, to = f.Prefix, f.Prefix+"\uffff"
	}
	jobs := s.db.Collection(collection)
	query := f.where(jobs.Query).Select(listFields()...).OrderBy(firestore.DocumentID, firestore.Asc).Limit(limit + 1)
	query = query.Where(firestore.DocumentID, ">=", jobs.Doc(from)).Where(firestore.DocumentID, "<=", jobs.Doc(to))
	if after != nil {
		query = query.StartAfter(after.ID)
	}
	docs, err := s.calls.Documents(ctx, query)
	if err != nil {
		return Page{}, fmt.Errorf("search jobs by id: %w", err)
	}
	var page Page
	for _, doc := range docs[:min(len(docs), limit)] {
		row, err := rowOf(doc)
		if err != nil {
			return Page{}, err
		}
		page.Rows = append(page.Rows, row)
	}
	if len(docs) > limit {
		page.Next = &Cursor{ID: docs[limit-1].Ref.ID}
	}
	return page, nil
}

// where adds the conditions of equal fields. Firestore serves them by merging
// indexes, see Indexes.
func (f *Filter) where(query firestore.Query) firestore.Query {
	for _, equal := range []struct{ field, value string }{
		{"state", f.State}, {"stage", f.Stage}, {"cause", f.Cause}, {"owner", f.Owner},
	} {
		if equal.value != "" {
			query = query.Where(equal.field, "==", equal.value)
		}
	}
	switch len(f.Tenants) {
	case 0:
	case 1:
		query = query.Where("tenant", "==", f.Tenants[0])
	default:
		query = query.Where("tenant", "in", f.Tenants)
	}
	return query
}

// shard is what one shard has for a page so far.
type shard struct {
	query firestore.Query
	rows  []Row
	// next is the first row that is not taken, read how many were read.
	next, read int
	// last is where to go on reading.
	last *Cursor
	over bool
}

// merge takes the newest limit rows of all shards.
func (s *Store) merge(ctx context.Context, f *Filter, after *Cursor, limit int) ([]Row, error) {
	shards := make([]*shard, s.shards)
	all, allCtx := errgroup.WithContext(ctx)
	for i := range shards {
		shards[i] = &shard{query: s.shardQuery(f, i), last: after}
		all.Go(func() error { return s.refill(allCtx, shards[i], limit) })
	}
	if err := all.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // the caller says of what
	}
	rows := make([]Row, 0, limit)
	for len(rows) < limit {
		best := newest(shards)
		if best == nil {
			break
		}
		rows = append(rows, best.rows[best.next])
		if best.next++; best.next == len(best.rows) && !best.over && len(rows) < limit {
			if err := s.refill(ctx, best, limit); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

func (s *Store) shardQuery(f *Filter, i int) firestore.Query {
	query := f.where(s.db.Collection(collection).Where(fieldShard, "==", i))
	if !f.From.IsZero() {
		query = query.Where(fieldOrder, ">=", f.From.UTC())
	}
	if !f.To.IsZero() {
		query = query.Where(fieldOrder, "<", f.To.UTC())
	}
	return query.Select(listFields()...).OrderBy(fieldOrder, firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc)
}

// refill reads the next rows of a shard: its share of the page at first, then as
// many again as it has given, and never more than limit in all.
func (s *Store) refill(ctx context.Context, sh *shard, limit int) error {
	n := min(max(limit/s.shards+1, sh.read), limit-sh.read)
	if n <= 0 {
		sh.over = true
		return nil
	}
	query := sh.query.Limit(n)
	if sh.last != nil {
		query = query.StartAfter(sh.last.At, sh.last.ID)
	}
	docs, err := s.calls.Documents(ctx, query)
	if err != nil {
		return err //nolint:wrapcheck // the caller says of what
	}
	sh.rows, sh.next = make([]Row, 0, len(docs)), 0
	for _, doc := range docs {
		row, err := rowOf(doc)
		if err != nil {
			return err
		}
		sh.rows = append(sh.rows, row)
		sh.last = &Cursor{At: row.UpdatedAt, ID: row.JobID}
	}
	sh.read += len(docs)
	sh.over = len(docs) < n
	return nil
}

// newest is the shard whose next row comes first; nil when none has one.
func newest(shards []*shard) *shard {
	var best *shard
	for _, sh := range shards {
		if sh.next >= len(sh.rows) {
			continue
		}
		if best == nil || before(&sh.rows[sh.next], &best.rows[best.next]) {
			best = sh
		}
	}
	return best
}

func before(a, b *Row) bool {
	return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), strings.Compare(b.JobID, a.JobID)) < 0
}

func listFields() []string {
	return []string{
		"state", "stage", "attempt", "cause", "delayed", "vanished", "owner", "tenant", "correlation_id", "occurred_at", fieldOrder, "revision",
	}
}

// rowOf reads a document. A field of another type than ours is zero: one odd
// record must not hide the list.
func rowOf(doc *firestore.DocumentSnapshot) (Row, error) {
	fields := doc.Data()
	r := Row{
		JobID: doc.Ref.ID,
		State: as[string](fields, "state"), Stage: as[string](fields, "stage"), Attempt: as[int64](fields, "attempt"),
		Cause: as[string](fields, "cause"), Delayed: as[bool](fields, "delayed"), Vanished: as[bool](fields, "vanished"),
		Owner: as[string](fields, "owner"), Tenant: as[string](fields, "tenant"), CorrelationID: as[string](fields, "correlation_id"),
		OccurredAt: as[time.Time](fields, "occurred_at"), UpdatedAt: as[time.Time](fields, fieldOrder), Revision: as[int64](fields, "revision"),
	}
	if r.JobID == "" {
		return r, resilience.Permanent(fmt.Errorf("search jobs: a document without a name"))
	}
	return r, nil
}

func as[T any](fields map[string]any, name string) T {
	v, _ := fields[name].(T)
	return v
}

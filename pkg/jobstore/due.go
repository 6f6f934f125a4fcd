package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// MaxDuePage is how many records Due may return at once: small enough that the
// records with all their evidence are some megabytes at most.
const MaxDuePage = 300

// DueCursor is a place in the order of a shard's due records.
type DueCursor struct {
	CheckAfter time.Time
	JobID      string
}

// DuePage is a part of a shard's due records.
type DuePage struct {
	Records []Stored
	// Unreadable are records that this release cannot read.
	Unreadable []Unreadable
	// Next is where the next page begins; nil at the end.
	Next *DueCursor
}

// Unreadable is a record that cannot be read, and why.
type Unreadable struct {
	JobID string
	Err   error
}

// Due returns up to limit records of a shard whose job is not over and whose
// check_after has come by now, the longest due first, after the cursor if there
// is one. It costs a read for each record returned, or one when there is none:
// what is not due costs nothing, however many records there are.
//
// The records are remembered like any that was read, so a claim that is applied
// soon does not read again. Errors are of category dependency when Firestore does
// not answer.
func (s *Store) Due(ctx context.Context, shard int, now time.Time, after *DueCursor, limit int) (DuePage, error) {
	if limit < 1 || limit > MaxDuePage {
		return DuePage{}, fmt.Errorf("list due records of shard %d: a page has 1 to %d records, not %d", shard, MaxDuePage, limit)
	}
	q := &query{
		collection: collectionJobs, orderBy: fieldCheckAfter, limit: limit,
		where: []condition{{"shard", "==", int64(shard)}, {"active", "==", true}, {fieldCheckAfter, "<=", now.UTC()}},
	}
	if after != nil {
		q.after = &position{after.CheckAfter, after.JobID}
	}
	docs, err := s.db.query(ctx, q)
	if err != nil {
		return DuePage{}, fmt.Errorf("list due records of shard %d: %w", shard, err)
	}
	var page DuePage
	for i := range docs {
		e, err := decodeRead(&docs[i])
		if err != nil {
			page.Unreadable = append(page.Unreadable, Unreadable{docs[i].id, err})
			continue
		}
		s.remember(docs[i].id, e)
		page.Records = append(page.Records, e.stored())
	}
	if len(docs) == limit {
		last := &docs[len(docs)-1]
		at, _ := last.fields[fieldCheckAfter].(time.Time) // the query chose it by that
		page.Next = &DueCursor{CheckAfter: at.UTC(), JobID: last.id}
	}
	return page, nil
}

// fieldCheckAfter is the field that Due asks by.
const fieldCheckAfter = "check_after"

// ErrMoved says that a record was changed after it had been read, so nothing
// was written.
var ErrMoved = errors.New("the record has changed since it was read")

// Postpone sets when recovery looks at a job next, and nothing else: the
// revision stays. Errors wrap ErrMoved when anybody has changed the record since.
func (s *Store) Postpone(ctx context.Context, on *Stored, until time.Time) error {
	_, err := s.db.commit(ctx, []write{{
		kind: writeUpdate, collection: collectionJobs, id: on.Record.JobID, ifUpdatedAt: on.UpdateTime,
		updates: []fieldUpdate{{path: []string{fieldCheckAfter}, value: until.UTC().Truncate(job.Precision)}},
	}})
	s.cache.drop(on.Record.JobID)
	switch {
	case errors.Is(err, errConflict):
		return fmt.Errorf("postpone job %s: %w", on.Record.JobID, ErrMoved)
	case err != nil:
		return fmt.Errorf("postpone job %s: %w", on.Record.JobID, err)
	}
	return nil
}

// Missing returns which of these jobs have no record. Where none is missing it
// costs one read for every thirty of them, else one more for each of those thirty.
func (s *Store) Missing(ctx context.Context, jobIDs []string) ([]string, error) {
	var missing []string
	for len(jobIDs) > 0 {
		some := jobIDs[:min(len(jobIDs), maxIDs)]
		jobIDs = jobIDs[len(some):]
		for _, id := range some {
			if err := checkJobID(id); err != nil {
				return nil, err
			}
		}
		n, err := s.db.count(ctx, collectionJobs, some)
		if err != nil {
			return nil, fmt.Errorf("count %d records: %w", len(some), err)
		}
		if n == len(some) {
			continue
		}
		docs, err := s.db.getAll(ctx, collectionJobs, some)
		if err != nil {
			return nil, fmt.Errorf("look up %d records: %w", len(some), err)
		}
		for i := range docs {
			if !docs[i].exists {
				missing = append(missing, docs[i].id)
			}
		}
	}
	return missing, nil
}

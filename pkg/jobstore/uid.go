package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/envision/resiliency/pkg/job"
)

// Why FindByUID names no record.
var (
	// ErrUnknownUID says that no record names a Kubernetes Job with this UID: it
	// is not the product's, its record is not there yet, or the job has moved on
	// to another Kubernetes Job.
	ErrUnknownUID = errors.New("no record names this Kubernetes Job")
	// ErrAmbiguousUID says that more than one record names it, so that nothing
	// said about it can be laid to one of them.
	ErrAmbiguousUID = errors.New("more than one record names this Kubernetes Job")
)

const (
	// maxUIDs bounds the UIDs whose job is remembered; about 200 bytes each.
	maxUIDs = 1 << 14
	// maxUnknownUIDs bounds the UIDs remembered as nobody's.
	maxUnknownUIDs = 1 << 12
	// unknownUIDAge is how long one is. Short: another process may write its
	// record at any moment, and a message that is delivered again must find it.
	unknownUIDAge = 3 * time.Second
)

// uidIndex remembers which job a Kubernetes Job belongs to, and for a moment
// which belong to none. It may be behind the database: whoever uses it checks
// what the record itself says.
type uidIndex struct {
	jobs *lru.Cache[string, string]
	// unknown holds until when a UID counts as nobody's.
	unknown *lru.Cache[string, time.Time]
	now     func() time.Time
}

// severalJobs stands for the job of a UID that more than one record names. No
// job id is empty.
const severalJobs = ""

func newUIDIndex(now func() time.Time) *uidIndex {
	x := &uidIndex{now: now}
	x.jobs, _ = lru.New[string, string](maxUIDs) // fails only for a size of 0
	x.unknown, _ = lru.New[string, time.Time](maxUnknownUIDs)
	return x
}

// learn takes note of what a record says.
func (x *uidIndex) learn(uid, jobID string) {
	if uid == "" {
		return
	}
	if known, ok := x.jobs.Get(uid); ok {
		if known != jobID && known != severalJobs {
			x.jobs.Add(uid, severalJobs)
		}
		return
	}
	x.jobs.Add(uid, jobID)
	x.unknown.Remove(uid)
}

func (x *uidIndex) nobodys(uid string) bool {
	until, ok := x.unknown.Get(uid)
	return ok && x.now().Before(until)
}

func (x *uidIndex) missed(uid string) { x.unknown.Add(uid, x.now().Add(unknownUIDAge)) }

// remember keeps a record that was read or written.
func (s *Store) remember(jobID string, e *entry) {
	s.cache.put(jobID, e)
	s.uids.learn(e.record.Kubernetes.UID, jobID)
}

// FindByUID returns the record that names the Kubernetes Job with this UID as
// its own, as it was within the last minute. It costs nothing while the record
// is in memory, one read where only its id is, and one query where this process
// has not seen the job.
//
// Errors wrap ErrUnknownUID and ErrAmbiguousUID, or are of category dependency
// when Firestore does not answer.
func (s *Store) FindByUID(ctx context.Context, uid string) (Stored, error) {
	stored, result, err := s.findByUID(ctx, uid)
	s.metrics.uids.WithLabelValues(result).Inc()
	if err != nil {
		return Stored{}, fmt.Errorf("find the job of Kubernetes Job %s: %w", uid, err)
	}
	return stored, nil
}

// Results of a search by UID, as the metric names them.
const (
	uidKnown     = "known"
	uidQueried   = "queried"
	uidUnknown   = "unknown"
	uidAmbiguous = "ambiguous"
	uidError     = "error"
)

func (s *Store) findByUID(ctx context.Context, uid string) (Stored, string, error) {
	if uid == "" {
		return Stored{}, uidUnknown, ErrUnknownUID
	}
	// One search at a time for a UID: several Events of a Job tend to come at once.
	unlock, _, err := s.searches.lock(ctx, uid)
	if err != nil {
		return Stored{}, uidError, fmt.Errorf("wait for another search: %w", err)
	}
	defer unlock()
	if jobID, ok := s.uids.jobs.Get(uid); ok {
		return s.knownUID(ctx, uid, jobID)
	}
	if s.uids.nobodys(uid) {
		return Stored{}, uidUnknown, ErrUnknownUID
	}
	return s.queryUID(ctx, uid)
}

func (s *Store) knownUID(ctx context.Context, uid, jobID string) (Stored, string, error) {
	if jobID == severalJobs {
		return Stored{}, uidAmbiguous, ErrAmbiguousUID
	}
	e, err := s.current(ctx, jobID)
	switch {
	case err != nil:
		return Stored{}, uidError, err
	case e.record == nil || e.record.Kubernetes.UID != uid:
		return Stored{}, uidUnknown, ErrUnknownUID
	default:
		return e.stored(), uidKnown, nil
	}
}

func (s *Store) queryUID(ctx context.Context, uid string) (Stored, string, error) {
	// Two, to notice a second record. The field's automatic index serves it.
	docs, err := s.db.find(ctx, collectionJobs, []string{"kubernetes", "uid"}, uid, 2)
	if err != nil {
		return Stored{}, uidError, err
	}
	if len(docs) == 0 {
		s.uids.missed(uid)
		return Stored{}, uidUnknown, ErrUnknownUID
	}
	var found *entry
	for i := range docs {
		e, err := decodeRead(&docs[i])
		if err != nil {
			return Stored{}, uidError, err
		}
		// What is in memory may be newer than the answer, and then stays. If it is
		// older it must not: the next search goes by it.
		if known, ok := s.cache.get(docs[i].id); !ok || known.updateTime.Before(e.updateTime) {
			s.remember(docs[i].id, e)
		}
		s.uids.learn(uid, docs[i].id)
		found = e
	}
	if len(docs) > 1 {
		return Stored{}, uidAmbiguous, ErrAmbiguousUID
	}
	return found.stored(), uidQueried, nil
}

// Recent returns a record as it was within the last minute: from memory, or by
// one read. found is false, without an error, when there is none.
func (s *Store) Recent(ctx context.Context, jobID string) (stored Stored, found bool, err error) {
	return s.RecentWhere(ctx, jobID, func(*job.Record) bool { return true })
}

// RecentWhere is Recent for who looks for something in the record. One in memory
// that does not suit is read again, once, since another process may have written
// what it lacks. What comes back need not suit either.
func (s *Store) RecentWhere(
	ctx context.Context, jobID string, suits func(*job.Record) bool,
) (stored Stored, found bool, err error) {
	if err := checkJobID(jobID); err != nil {
		return Stored{}, false, err
	}
	e, known := s.cached(jobID)
	if !known || !suits(e.record) {
		if e, err = s.fetch(ctx, jobID); err != nil || e.record == nil {
			return Stored{}, false, err
		}
	}
	return e.stored(), true, nil
}

package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/googleapis/gax-go/v2"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// Result is what a claim did.
type Result struct {
	Outcome job.Outcome
	// Before is the record that the claim met, the zero record when there was
	// none; After the record since. Both are shared with the cache and must not
	// be changed.
	Before, After *job.Record
	// Revision is that of After.
	Revision int64
	// Entries are the outbox entries committed with the change, and those of an
	// earlier one whose commit had been in doubt: they are to be published now,
	// and the sweep finds those that are not.
	Entries []Entry
	// Tries is how many commits were made; 0 when nothing had to be written.
	Tries int
}

// Apply merges a claim into its job's record. If the record changes, it is
// committed together with its outbox entries; what changes nothing costs no
// write, and nothing at all while the record is cached.
//
// An error is of category permanent when the claim cannot be stored as it is,
// dependency when Firestore does not answer (the change may have been made: to
// apply the claim again is always safe), and retryable else (ErrContended,
// ErrNewerRelease).
func (s *Store) Apply(ctx context.Context, o *job.Observation) (Result, error) {
	result, err := s.applyLocked(ctx, o)
	if err != nil {
		s.metrics.applies.WithLabelValues("error").Inc()
		return Result{}, fmt.Errorf("apply a claim to job %s: %w", o.JobID, err)
	}
	s.metrics.applies.WithLabelValues(result.Outcome.String()).Inc()
	return result, nil
}

func (s *Store) applyLocked(ctx context.Context, o *job.Observation) (Result, error) {
	if err := check(o); err != nil {
		return Result{}, err
	}
	unlock, waited, err := s.locks.lock(ctx, o.JobID)
	if err != nil {
		return Result{}, resilience.Retryable(fmt.Errorf("wait for other claims: %w", err))
	}
	defer unlock()
	if waited && s.db.unanswered() {
		// Else claims about one job would each wait for the deadline in turn.
		return Result{}, resilience.Dependency(dependencyName, errUnanswered)
	}
	return s.compareAndSet(ctx, o)
}

// Pauses between tries: full jitter, so that contending processes spread out.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

func (s *Store) compareAndSet(ctx context.Context, o *job.Observation) (Result, error) {
	pause := gax.Backoff{Initial: firstPause, Max: longestPause, Multiplier: 2}
	tried, _ := s.doubts.Get(o.JobID) // of an earlier claim, or of this one's earlier delivery
	var own *change
	for try := 1; ; try++ {
		current, err := s.current(ctx, o.JobID)
		if err != nil {
			return Result{}, err
		}
		s.doubts.Remove(o.JobID)
		if own == nil && tried.isIn(current) {
			own = tried
			s.metrics.ownCommits.Inc()
		}
		next, err := s.plan(ctx, current, o)
		if err != nil {
			return Result{}, err
		}
		if !next.result.Outcome.Changed() {
			return own.explains(o, next.result), nil
		}
		next.result.Tries = try
		err = s.commit(ctx, next)
		if err == nil {
			s.metrics.tries.Observe(float64(try))
			return own.addTo(next.result), nil
		}
		if !errors.Is(err, errConflict) {
			return Result{}, err
		}
		if try >= s.maxTries {
			return Result{}, resilience.Retryable(fmt.Errorf("%w in %d tries: %w", ErrContended, try, err))
		}
		tried = next
		if err := gax.Sleep(ctx, pause.Pause()); err != nil {
			return Result{}, resilience.Retryable(err)
		}
	}
}

// current is the record from the cache or the database.
func (s *Store) current(ctx context.Context, jobID string) (*entry, error) {
	if e, ok := s.cached(jobID); ok {
		return e, nil
	}
	return s.fetch(ctx, jobID)
}

// cached is the record from the cache.
func (s *Store) cached(jobID string) (*entry, bool) {
	e, ok := s.cache.get(jobID)
	result := "miss"
	if ok {
		result = "hit"
	}
	s.metrics.cache.WithLabelValues(result).Inc()
	return e, ok
}

// fetch reads the record and remembers it.
func (s *Store) fetch(ctx context.Context, jobID string) (*entry, error) {
	e, err := s.read(ctx, jobID)
	if err != nil {
		return nil, err
	}
	if e.record != nil {
		s.remember(jobID, e)
	}
	return e, nil
}

func (s *Store) read(ctx context.Context, jobID string) (*entry, error) {
	doc, err := s.db.get(ctx, collectionJobs, jobID)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", jobID, err)
	}
	return decodeRead(&doc)
}

// decodeRead is decode with the category of its errors.
func decodeRead(doc *document) (*entry, error) {
	e, err := decode(doc)
	if err == nil || errors.Is(err, ErrNewerRelease) {
		return e, err
	}
	return nil, resilience.Permanent(err) // no release can read it
}

// commit writes a change with its outbox entries and remembers the outcome.
func (s *Store) commit(ctx context.Context, c *change) error {
	at, err := s.db.commit(ctx, c.writes)
	if err != nil {
		// Whatever went wrong, what we knew of the document may be old.
		s.cache.drop(c.next.record.JobID)
		if !errors.Is(err, errConflict) && !resilience.IsPermanent(err) {
			s.doubts.Add(c.next.record.JobID, c)
		}
		return fmt.Errorf("commit record %s: %w", c.next.record.JobID, err)
	}
	c.next.updateTime = at
	s.remember(c.next.record.JobID, c.next)
	return nil
}

package jobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/googleapis/gax-go/v2"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// Decision is what is written about a job that was judged, all in one commit.
type Decision struct {
	// On is the record that was judged. If it has changed since, by anybody,
	// nothing is written.
	On Stored
	// Claims are applied to it, in this order.
	Claims []job.Observation
	// Resume is set when a command to run again goes out with the decision.
	Resume *Resume
	// CheckAfter is when recovery looks at the job next; zero lets a change of the
	// record set it to now.
	CheckAfter time.Time
	// Entries go out with the commit, beside what the outbox function says of the
	// change.
	Entries []Entry
	// Fence must hold when the commit is made; the zero Fence always does.
	Fence Fence
}

// Resume is what recovery keeps of a command to run again.
type Resume struct {
	// Attempt is the attempt that the job is in.
	Attempt int32
	// Until is when the command expires.
	Until time.Time
}

// Fence is a document that exists as long as its writer may write. It holds its
// token and nothing else.
type Fence struct {
	Collection, Document string
	Token                int64
}

// FenceField is the field that holds the token.
const FenceField = "token"

// ErrFenced says that the writer's right to write has passed to another, so
// nothing was written.
var ErrFenced = errors.New("another process has taken over the right to write")

// Decide writes a decision, once: a repeat after a lost answer finds its own
// commit. Beside the categories of Apply its errors wrap ErrMoved when the record
// has changed since it was read, and ErrFenced.
func (s *Store) Decide(ctx context.Context, d *Decision) (Result, error) {
	jobID := d.On.Record.JobID
	unlock, _, err := s.locks.lock(ctx, jobID)
	if err != nil {
		return Result{}, resilience.Retryable(fmt.Errorf("decide on job %s: wait for other claims: %w", jobID, err))
	}
	defer unlock()
	result, err := s.decide(ctx, d)
	if err != nil {
		return Result{}, fmt.Errorf("decide on job %s: %w", jobID, err)
	}
	if result.Outcome != 0 {
		s.metrics.applies.WithLabelValues(result.Outcome.String()).Inc()
	}
	return result, nil
}

func (s *Store) decide(ctx context.Context, d *Decision) (Result, error) {
	c, err := s.planDecision(ctx, d)
	if err != nil || len(c.writes) == 0 {
		return c.result, err
	}
	pause := gax.Backoff{Initial: firstPause, Max: longestPause, Multiplier: 2}
	for c.result.Tries = 1; ; c.result.Tries++ {
		err := s.commit(ctx, c)
		if err == nil {
			return c.result, nil
		}
		if resilience.IsPermanent(err) || ctx.Err() != nil {
			return Result{}, err
		}
		done, never := s.refused(ctx, d, c)
		if done || never != nil {
			return c.result, never
		}
		if c.result.Tries >= s.maxTries {
			return Result{}, resilience.Retryable(fmt.Errorf("%w in %d tries: %w", ErrContended, c.result.Tries, err))
		}
		if err := gax.Sleep(ctx, pause.Pause()); err != nil {
			return Result{}, resilience.Retryable(err)
		}
	}
}

// refused finds out what became of a commit that failed: done when it had been
// carried out and only its answer was lost, an error when it can not be, and
// neither when it may be tried again.
func (s *Store) refused(ctx context.Context, d *Decision, c *change) (done bool, err error) {
	current, err := s.read(ctx, d.On.Record.JobID)
	if err != nil {
		return false, err
	}
	switch {
	case c.isIn(current):
		s.metrics.ownCommits.Inc()
		return true, nil
	case current.record == nil, !current.updateTime.Equal(d.On.UpdateTime):
		return false, ErrMoved
	case d.Fence == Fence{}:
		return false, nil
	}
	fence, err := s.db.get(ctx, d.Fence.Collection, d.Fence.Document)
	if err != nil {
		return false, fmt.Errorf("look up fence %s: %w", d.Fence.Document, err)
	}
	if !fence.exists {
		return false, ErrFenced
	}
	return false, nil
}

// planDecision prepares the commit; no writes when the record knows all of it.
func (s *Store) planDecision(ctx context.Context, d *Decision) (*change, error) {
	current := &entry{record: d.On.Record, meta: d.On.Meta, updateTime: d.On.UpdateTime, layout: d.On.layout}
	after := new(*d.On.Record)
	c := &change{result: Result{Before: d.On.Record, After: after, Revision: current.meta.Revision}}
	for i := range d.Claims {
		if err := check(&d.Claims[i]); err != nil {
			return c, err
		}
		c.result.Outcome = stronger(c.result.Outcome, after.Apply(&d.Claims[i]))
	}
	changed := c.result.Outcome.Changed()
	if !changed && d.Resume == nil {
		return c, nil
	}
	now := s.now().UTC().Truncate(job.Precision)
	c.next = &entry{record: after, layout: layout, meta: nextMeta(&current.meta, d, now)}
	c.next.meta.UpdatedBy = s.writer
	c.result.Revision = c.next.meta.Revision
	if changed && s.outbox != nil {
		entries, err := s.outbox(d.On.Record, after, c.result.Revision)
		if err != nil {
			return c, fmt.Errorf("say what goes out with revision %d: %w", c.result.Revision, err)
		}
		c.result.Entries = entries
	}
	c.result.Entries = s.stamped(ctx, slices.Concat(c.result.Entries, d.Entries), now)
	c.writes = decisionWrites(current, c, d)
	return c, nil
}

// stronger is the outcome that several claims have together.
func stronger(a, b job.Outcome) job.Outcome {
	switch {
	case a == job.OutcomeCorrected || b == job.OutcomeCorrected:
		return job.OutcomeCorrected
	case a == 0 || b.Changed():
		return b
	default:
		return a
	}
}

func nextMeta(was *Meta, d *Decision, now time.Time) Meta {
	m := *was
	m.Revision, m.UpdatedAt, m.CheckAfter = was.Revision+1, now, now
	if !d.CheckAfter.IsZero() {
		m.CheckAfter = d.CheckAfter.UTC().Truncate(job.Precision)
	}
	m.Recovery.Revision, m.Recovery.HeardAt = m.Revision, was.HeardAt()
	if d.Resume != nil {
		m.Recovery.Resumes++
		m.Recovery.ResumeAttempt = d.Resume.Attempt
		m.Recovery.ResumeUntil = d.Resume.Until.UTC().Truncate(job.Precision)
	}
	return m
}

// decisionWrites begins with the record, whose new update time the commit
// returns.
func decisionWrites(current *entry, c *change, d *Decision) []write {
	writes := writesOf(current, c)
	writes[0].updates = append(writes[0].updates, fieldUpdate{path: []string{fieldRecovery}, value: c.next.meta.Recovery.fields()})
	if d.Fence == (Fence{}) {
		return writes
	}
	return append(writes, write{
		kind: writeRequire, collection: d.Fence.Collection, id: d.Fence.Document,
		updates: []fieldUpdate{{path: []string{FenceField}, value: d.Fence.Token}},
	})
}

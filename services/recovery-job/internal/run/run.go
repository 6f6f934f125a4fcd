package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// Runner makes one run.
type Runner struct {
	Parts
	opts Options
	// limit is nil when there is none.
	limit *limit

	mu     sync.Mutex
	report report.Report
	// held are the verdicts from silence, which wait for the guard.
	held []held
	// stop is where the walk stopped; nil when it came to its end.
	stop *place
	// kept is where the run before stopped, for a run that walks nowhere itself.
	kept map[string]runs.Cursor
}

// place is a place in the walk over all shards.
type place struct {
	shard int
	after *jobstore.DueCursor
}

// New returns a runner; Run may be called once.
func New(parts Parts, opts Options) *Runner {
	r := &Runner{Parts: parts, opts: opts}
	if opts.Only == "" {
		r.limit = newLimit(opts.Limit)
	}
	return r
}

// Why a walk stops before its end.
var (
	errLimit = errors.New("the limit of jobs for one run is reached")
	errTime  = errors.New("the time for judging is over")
)

// Run makes the run and returns what came of it; the report is complete as far as
// the run came. The error is why it could not go on: what is wrong with single
// jobs is in the report.
func (r *Runner) Run(ctx context.Context) (*report.Report, error) {
	r.report = report.Report{
		RunID: r.opts.RunID, Cluster: r.opts.Cluster, Plan: r.Writer == nil, StartedAt: r.Now().UTC(), State: report.Done,
		Counts: map[string]int{}, Reasons: map[string]int{},
	}
	begin := r.begin(ctx)
	pipeline := r.Health.Pipeline(ctx)
	r.report.Silent = pipeline.Deaf(r.Now())
	err := r.judgeAll(ctx, begin)
	cut := errors.Is(err, errLimit) || errors.Is(err, errTime)
	if err == nil && !r.opts.partial() {
		r.createMissing(ctx)
	}
	if err == nil || cut {
		if heldErr := r.release(ctx); heldErr != nil {
			err, cut = heldErr, false
		}
	}
	switch {
	case err == nil:
	case cut || ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		r.report.State, r.report.Error = report.Cut, err.Error()
	default:
		r.report.State, r.report.Error = report.Failed, err.Error()
	}
	r.report.EndedAt = r.Now().UTC()
	r.report.Sort()
	r.save(context.WithoutCancel(ctx), r.stop)
	if cut {
		err = nil
	}
	return &r.report, err
}

// judgeAll judges what is due, or the one job that was asked for.
func (r *Runner) judgeAll(ctx context.Context, from place) error {
	if r.opts.Only != "" {
		return r.judgeOnly(ctx)
	}
	judging, cancel := context.WithTimeoutCause(ctx, r.opts.JudgeFor, errTime)
	defer cancel()
	work := make(chan jobstore.Stored)
	group, groupCtx := errgroup.WithContext(judging)
	var fed error
	group.Go(func() error {
		defer close(work)
		fed = r.feed(groupCtx, from, work)
		return nil // what is in hand is finished
	})
	for range r.opts.Parallel {
		group.Go(func() error {
			for stored := range work {
				if err := r.look(groupCtx, &stored); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	switch {
	case err != nil:
		return err //nolint:wrapcheck // it names the job
	case ctx.Err() != nil:
		return fmt.Errorf("the run was ended: %w", context.Cause(ctx))
	case judging.Err() != nil:
		return errTime
	default:
		return fed
	}
}

func (r *Runner) judgeOnly(ctx context.Context) error {
	stored, found, err := r.Records.Get(ctx, r.opts.Only)
	if err != nil {
		return fmt.Errorf("read job %s: %w", r.opts.Only, err)
	}
	if !found {
		return fmt.Errorf("job %s has no record", r.opts.Only)
	}
	return r.look(ctx, &stored)
}

// feed walks through the shards from a place to the end and then from the
// beginning to that place. It stops where it is when ctx ends.
func (r *Runner) feed(ctx context.Context, from place, work chan<- jobstore.Stored) error {
	now := r.Now().UTC()
	for i := range r.opts.Shards {
		at := place{shard: (from.shard + i) % r.opts.Shards}
		if i == 0 {
			at.after = from.after
		}
		if err := r.feedShard(ctx, at, nil, now, work); err != nil {
			return err
		}
		if i+1 < r.opts.Shards {
			r.passed(ctx, place{shard: (at.shard + 1) % r.opts.Shards})
		}
	}
	if from.after == nil {
		return nil
	}
	return r.feedShard(ctx, place{shard: from.shard}, from.after, now, work)
}

// feedShard hands out a shard's due records, up to a place if there is one. At the
// limit it stops behind the last record that it handed out: those in front may stay
// there for ever. Else it stops at the page, as not all of it may have been looked at.
func (r *Runner) feedShard(ctx context.Context, at place, to *jobstore.DueCursor, now time.Time, work chan<- jobstore.Stored) error {
	for {
		page, err := r.Records.Due(ctx, at.shard, now, at.after, r.opts.Page)
		if err != nil {
			r.stopAt(at)
			return fmt.Errorf("walk through shard %d: %w", at.shard, err)
		}
		behind := at.after
		for i := range page.Unreadable {
			r.unreadable(&page.Unreadable[i])
		}
		for i := range page.Records {
			stored := &page.Records[i]
			if to != nil && beyond(stored, to) {
				return nil
			}
			switch err := r.handOut(ctx, stored, work); {
			case errors.Is(err, errLimit):
				r.stopAt(place{at.shard, behind})
				return err
			case err != nil:
				r.stopAt(at)
				return err
			}
			behind = &jobstore.DueCursor{CheckAfter: stored.Meta.CheckAfter, JobID: stored.Record.JobID}
		}
		if page.Next == nil {
			return nil
		}
		at.after = page.Next
	}
}

// beyond reports whether a record comes after a place in the order of its shard.
func beyond(s *jobstore.Stored, to *jobstore.DueCursor) bool {
	if c := s.Meta.CheckAfter.Compare(to.CheckAfter); c != 0 {
		return c > 0
	}
	return s.Record.JobID > to.JobID
}

// handOut gives a record to whoever looks at it next.
func (r *Runner) handOut(ctx context.Context, stored *jobstore.Stored, work chan<- jobstore.Stored) error {
	if err := r.limit.take(ctx); err != nil {
		return err
	}
	select {
	case work <- *stored:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Runner) stopAt(at place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = &at
}

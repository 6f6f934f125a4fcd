package run

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// held is a verdict from silence that waits until it is known how many there are.
type held struct {
	stored  jobstore.Stored
	verdict judge.Verdict
	at      time.Time
}

// freshFor is how long such a verdict holds without being judged again: the
// cluster may show tomorrow what it does not show today.
const freshFor = time.Minute

func (r *Runner) hold(stored *jobstore.Stored, v *judge.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, held{*stored, *v, r.Now()})
}

// release carries out the verdicts that waited, or withholds them all if they are
// too many.
func (r *Runner) release(ctx context.Context) error {
	verdicts := make([]judge.Verdict, len(r.held))
	for i := range r.held {
		verdicts[i] = r.held[i].verdict
	}
	if n := r.opts.Guard.Withhold(verdicts, r.report.Looked); n > 0 {
		r.Metrics.withheld.Add(float64(n))
		r.Log.Error().Int("withheld", n).Int("looked", r.report.Looked).
			Msg("this run would fail too many jobs because nothing is there: these verdicts are withheld; " +
				"look at the cluster and the bucket, then run with --confirm-mass-failure")
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.opts.Parallel)
	for i := range r.held {
		group.Go(func() error { return r.carryOut(groupCtx, &r.held[i], &verdicts[i]) })
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("the run was ended: %w", context.Cause(ctx))
	}
	return err //nolint:wrapcheck // act's own
}

// carryOut judges again what has waited for long, and never more harshly: only
// what was not withheld comes to that.
func (r *Runner) carryOut(ctx context.Context, h *held, v *judge.Verdict) error {
	if v.Action == judge.ActionFail && r.Writer != nil && r.Now().Sub(h.at) > freshFor {
		again := r.Judge.Inquire(ctx, r.Probes, r.evidence(ctx, &h.stored))
		v = &again
	}
	if ended(ctx) {
		return nil
	}
	return r.act(ctx, &h.stored, v)
}

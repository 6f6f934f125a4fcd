package run

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
)

// begin puts the run on record and says where the walk begins: where the last run
// stopped, if it did. It is no loss when that cannot be read.
func (r *Runner) begin(ctx context.Context) place {
	if r.Writer == nil {
		return place{}
	}
	last, found, err := r.Journal.Last(ctx, r.opts.Cluster)
	if err != nil {
		r.Log.Warn().Err(err).Msg("cannot tell where the last run stopped: this one begins at the beginning")
	}
	at := place{}
	switch {
	case !found || err != nil:
	case r.opts.partial():
		r.kept = last.Cursors
	default:
		at = placeOf(&last, r.opts.Shards)
	}
	if at != (place{}) {
		r.Log.Info().Str("last_run", last.ID).Int("shard", at.shard).Msg("the last run did not come to its end: going on from there")
	}
	r.save(ctx, &at)
	return at
}

// placeOf is where a run stopped; the beginning if it did not.
func placeOf(last *runs.Run, shards int) place {
	for _, name := range slices.Sorted(maps.Keys(last.Cursors)) {
		shard, err := strconv.Atoi(name)
		if err != nil || shard < 0 || shard >= shards {
			continue // the number of shards was another
		}
		at := place{shard: shard}
		if c := last.Cursors[name]; c.JobID != "" {
			at.after = &jobstore.DueCursor{CheckAfter: c.CheckAfter, JobID: c.JobID}
		}
		return at
	}
	return place{}
}

// passed puts on record that a shard is done: a run that is killed is not begun
// again at the beginning.
func (r *Runner) passed(ctx context.Context, next place) {
	if !r.opts.partial() {
		r.save(ctx, &next)
	}
}

// save puts the run on record with the place where the next one would begin; nil
// when there is none. The run goes on without.
func (r *Runner) save(ctx context.Context, next *place) {
	if r.Writer == nil {
		return
	}
	if err := r.Journal.Save(ctx, r.row(next)); err != nil {
		r.Log.Warn().Err(err).Msg("the run is not on record")
	}
}

func (r *Runner) row(next *place) *runs.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := &runs.Run{
		ID: r.opts.RunID, State: runs.StateRunning, Cluster: r.opts.Cluster, Instance: r.opts.Instance,
		Version: r.opts.Version, Token: r.opts.Token, StartedAt: r.report.StartedAt, UpdatedAt: r.Now().UTC(),
		EndedAt: r.report.EndedAt, Silent: r.report.Silent, Error: r.report.Error,
		Counts:  map[string]int64{"read": int64(r.report.Read), "looked": int64(r.report.Looked)},
		Reasons: map[string]int64{},
	}
	if !row.EndedAt.IsZero() {
		row.State = string(r.report.State)
	}
	for name, n := range r.report.Counts {
		row.Counts[name] = int64(n)
	}
	for name, n := range r.report.Reasons {
		row.Reasons[name] = int64(n)
	}
	switch {
	case r.opts.partial():
		row.Cursors = r.kept // the next whole run goes on from there
	case next != nil:
		c := runs.Cursor{}
		if next.after != nil {
			c = runs.Cursor{CheckAfter: next.after.CheckAfter, JobID: next.after.JobID}
		}
		row.Cursors = map[string]runs.Cursor{strconv.Itoa(next.shard): c}
	}
	return row
}

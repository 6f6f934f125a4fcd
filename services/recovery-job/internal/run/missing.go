package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// lookUp is how many are looked up at once.
const lookUp = 300

// createMissing makes a record for each labelled Kubernetes Job whose job has
// none: nobody would ever judge it otherwise. What cannot be listed is told, and
// is no reason to end.
func (r *Runner) createMissing(ctx context.Context) {
	batch := map[string]*Labelled{}
	var failed error
	flush := func() {
		if failed == nil && len(batch) > 0 {
			failed = r.createThose(ctx, batch)
			clear(batch)
		}
	}
	err := r.Cluster.Labelled(ctx, func(l Labelled) {
		if len(l.Claims) == 0 || r.Now().Sub(l.CreatedAt) < r.opts.MissingAfter {
			return // one that cannot be read is told of by who watches
		}
		if known, ok := batch[l.JobID]; ok {
			known.Claims = append(known.Claims, l.Claims...) // several Kubernetes Jobs of one job
			return
		}
		if batch[l.JobID] = &l; len(batch) >= lookUp {
			flush()
		}
	})
	flush()
	for _, err := range []error{err, failed} {
		if err == nil || ctx.Err() != nil {
			continue
		}
		r.count(&report.Item{
			JobID: "-", Action: report.ActionCreate, Reason: report.ReasonStore, Fate: report.FateUnjudged, Attention: true,
			Sentence: "nobody can tell which labelled Kubernetes Jobs have no record: " + job.Cut(err.Error(), job.MaxMessageBytes),
		})
	}
}

func (r *Runner) createThose(ctx context.Context, batch map[string]*Labelled) error {
	ids := make([]string, 0, len(batch))
	for id := range batch {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	missing, err := r.Records.Missing(ctx, ids)
	if err != nil {
		return fmt.Errorf("look up the records of %d jobs: %w", len(ids), err)
	}
	for _, id := range missing {
		r.create(ctx, batch[id])
	}
	return nil
}

// create applies all that the Kubernetes Job says, by the merge rule: whoever
// makes the record at the same time says the same.
func (r *Runner) create(ctx context.Context, l *Labelled) {
	it := report.Item{
		JobID: l.JobID, Action: report.ActionCreate, Reason: report.ReasonNoRecord, Fate: report.FatePlanned, Attention: true,
		Sentence: "a labelled Kubernetes Job had no record",
	}
	var record job.Record
	for i := range l.Claims {
		record.Apply(&l.Claims[i])
		if r.Writer == nil {
			continue
		}
		it.Fate = report.FateWritten
		result, err := r.Writer.Apply(ctx, &l.Claims[i])
		if err != nil {
			it.Fate, it.Error = report.FateFailed, err.Error()
			break
		}
		r.Outbox.Offer(result.Entries)
	}
	view := record.View()
	it.Stage, it.Attempt, it.State = view.Stage, view.Attempt, job.StateName(view.State)
	it.Owner, it.Tenant, it.CorrelationID = record.Owner.Value, record.Tenant.Value, record.CorrelationID.Value
	it.Sentence += "; it is " + it.State
	// It was not looked at: beside jobs by the hundred that are gone, as many new
	// ones of another cluster must not make those look few to the guard.
	r.count(&it)
}

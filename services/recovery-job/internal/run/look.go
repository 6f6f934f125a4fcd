package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// look judges one job and carries the verdict out, or keeps it for the guard. Its
// error ends the run.
func (r *Runner) look(ctx context.Context, stored *jobstore.Stored) error {
	e := r.evidence(ctx, stored)
	if !r.wanted(e) {
		r.limit.giveBack()
		return nil
	}
	v := r.Judge.Inquire(ctx, r.Probes, e)
	if ended(ctx) {
		return nil // what was asked last was cut off; the walk says where it stopped
	}
	if trivial(&v) {
		r.limit.giveBack()
	} else {
		r.looked()
	}
	if v.Action == judge.ActionFail && v.FromSilence() {
		r.hold(stored, &v)
		return nil
	}
	return r.act(ctx, stored, &v)
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }

func (r *Runner) evidence(ctx context.Context, stored *jobstore.Stored) *judge.Evidence {
	m := &stored.Meta.Recovery
	return &judge.Evidence{
		Now: r.Now().UTC().Truncate(job.Precision), Record: stored.Record, UpdatedAt: stored.Meta.HeardAt(),
		Resumes:  judge.Resumes{Asked: int(m.Resumes), OpenUntil: m.ResumeUntil, Attempt: m.ResumeAttempt},
		Pipeline: r.Health.Pipeline(ctx),
	}
}

// wanted reports whether the run is for this job.
func (r *Runner) wanted(e *judge.Evidence) bool {
	r.Metrics.read.Inc()
	r.mu.Lock()
	r.report.Read++
	r.mu.Unlock()
	if r.opts.Rule == "" {
		return true
	}
	found := r.Judge.Due(e)
	return found.Rule != nil && found.Rule.Name == r.opts.Rule
}

// looked counts a job that had to be judged.
func (r *Runner) looked() {
	r.limit.use()
	r.mu.Lock()
	r.report.Looked++
	n := r.report.Looked
	r.mu.Unlock()
	if r.opts.Progress != nil {
		r.opts.Progress(n)
	}
}

// trivial verdicts are on jobs that are not to be judged here and now.
func trivial(v *judge.Verdict) bool {
	return v.Action == judge.ActionLeave &&
		(v.Reason == judge.ReasonNotDue || v.Reason == judge.ReasonOtherCluster || v.Reason == judge.ReasonOver)
}

// act carries a verdict out, also when the run is told to end meanwhile: what is
// decided is written, or is known not to be. Its error ends the run.
func (r *Runner) act(ctx context.Context, stored *jobstore.Stored, v *judge.Verdict) error {
	ctx = context.WithoutCancel(ctx)
	it := report.New(stored.Record, stored.Meta.HeardAt(), v)
	var err error
	switch {
	case v.Action == judge.ActionCannotJudge, v.Action == judge.ActionAsk:
		it.Fate = report.FateUnjudged
	case v.Action == judge.ActionWithheld:
		it.Fate = report.FateWithheld
	case r.Writer == nil:
		if it.Fate = report.FatePlanned; v.Action == judge.ActionLeave {
			it.Fate = report.FateLeft
		}
	case v.Action == judge.ActionLeave:
		it.Fate, err = report.FateLeft, r.postpone(ctx, stored, v)
	default:
		it.Fate, err = report.FateWritten, r.decide(ctx, stored, v)
	}
	switch {
	case errors.Is(err, jobstore.ErrFenced):
		return err
	case errors.Is(err, jobstore.ErrMoved):
		it.Fate = report.FateMoved
	case err != nil:
		it.Fate, it.Error = report.FateFailed, err.Error()
	}
	if !trivial(v) || r.opts.Only != "" {
		r.count(&it)
	}
	return nil
}

func (r *Runner) count(it *report.Item) {
	r.Metrics.verdicts.WithLabelValues(it.Reason, string(it.Fate)).Inc()
	if r.Writer != nil && r.opts.Only == "" && it.Fate.Settled() {
		it.Detail = "" // what a run settles has it on record, and there may be thousands
	}
	r.mu.Lock()
	r.report.Count(it)
	r.mu.Unlock()
	line := r.Log.WithLevel(r.level(it)).Str("job_id", it.JobID).Str("correlation_id", it.CorrelationID).Str("rule", it.Rule).
		Str("action", it.Action).Str("reason", it.Reason).Str("verdict", it.Verdict).Str("evidence", it.Evidence).
		Str("fate", string(it.Fate))
	if it.Error != "" {
		line = line.Str("error", it.Error)
	}
	line.Msg(it.Sentence)
}

// level is that of a job's line in the log: what the message to the developers only
// counts, this names. A plan shows its jobs, and logs none.
func (r *Runner) level(it *report.Item) zerolog.Level {
	switch {
	case r.Writer == nil:
		return zerolog.DebugLevel
	case !it.Fate.Settled():
		return zerolog.WarnLevel
	case it.Fate == report.FateWritten, it.Notable():
		return zerolog.InfoLevel
	default:
		return zerolog.DebugLevel
	}
}

// postpone moves the next look, if the verdict names one.
func (r *Runner) postpone(ctx context.Context, stored *jobstore.Stored, v *judge.Verdict) error {
	if v.CheckAfter.IsZero() || !v.CheckAfter.After(stored.Meta.CheckAfter) {
		return nil
	}
	return r.Writer.Postpone(ctx, stored, v.CheckAfter) //nolint:wrapcheck // it names the job
}

// decide writes a verdict with all that is told about it.
func (r *Runner) decide(ctx context.Context, stored *jobstore.Stored, v *judge.Verdict) error {
	d := &jobstore.Decision{
		On: *stored, Claims: v.Claims, CheckAfter: v.CheckAfter, Fence: r.Fence(stored.Record.JobID),
	}
	if v.Resume != nil {
		d.Resume = &jobstore.Resume{Attempt: v.Resume.ExpectedAttempt, Until: v.Resume.NotAfter}
	}
	entries, err := r.entries(stored, v)
	if err != nil {
		return fmt.Errorf("say what goes out about job %s: %w", stored.Record.JobID, err)
	}
	d.Entries = entries
	result, err := r.Writer.Decide(ctx, d)
	if err != nil {
		return err //nolint:wrapcheck // it names the job
	}
	r.Outbox.Offer(result.Entries)
	return nil
}

// unreadable tells of a record that this release cannot read.
func (r *Runner) unreadable(u *jobstore.Unreadable) {
	r.mu.Lock()
	r.report.Read++
	r.report.Looked++
	r.mu.Unlock()
	r.count(&report.Item{
		JobID: u.JobID, Action: string(judge.ActionCannotJudge), Reason: report.ReasonUnreadable, Fate: report.FateUnjudged,
		Sentence: job.Cut(u.Err.Error(), job.MaxMessageBytes), Attention: true,
	})
}

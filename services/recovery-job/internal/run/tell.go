package run

import (
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

const source = resiliencyv1.Source_SOURCE_RECOVERY_JOB

// phaseName is that of every phase that tells of a verdict.
const phaseName = "recovery.judged"

// entries are what goes out with a verdict beside the update for the user: the
// phase that keeps it with all its evidence, and the command.
func (r *Runner) entries(stored *jobstore.Stored, v *judge.Verdict) ([]jobstore.Entry, error) {
	messages := []announce.Message{r.phase(stored, v)}
	if v.Resume != nil {
		messages = append(messages, r.command(stored, v))
	}
	entries := make([]jobstore.Entry, 0, len(messages))
	for _, m := range messages {
		e, err := announce.Entry(m)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says of which message
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// phase tells of the verdict on one revision of a record: there is one at most.
func (r *Runner) phase(stored *jobstore.Stored, v *judge.Verdict) *resiliencyv1.PhaseEvent {
	view := stored.Record.View()
	judged := &resiliencyv1.RecoveryJudged{
		RunId: r.opts.RunID, Rule: v.Rule, Verdict: v.State, Evidence: v.Evidence, Reasoning: job.Cut(v.Detail, job.MaxDetailBytes),
	}
	if !v.CheckAfter.IsZero() {
		judged.NextCheckAt = timestamppb.New(v.CheckAfter)
	}
	details := map[string]string{"action": string(v.Action), "reason": string(v.Reason)}
	if v.Resume != nil {
		details["new_attempt"] = strconv.Itoa(int(v.Resume.NewAttempt))
		details["resumes_before"] = strconv.Itoa(v.Resume.Before)
	}
	return &resiliencyv1.PhaseEvent{
		EventId:       job.EventID("recovery-judged", stored.Record.JobID, strconv.FormatInt(stored.Meta.Revision+1, 10)),
		OccurredAt:    timestamppb.New(r.Now().UTC().Truncate(job.Precision)),
		JobId:         stored.Record.JobID,
		Attempt:       max(view.Attempt, 1),
		Stage:         &resiliencyv1.Stage{Name: view.Stage, Ordinal: view.Ordinal},
		CorrelationId: stored.Record.CorrelationID.Value,
		Source:        source,
		Reporter:      r.opts.Instance,
		Name:          phaseName,
		Sequence:      stored.Meta.Revision,
		Message:       job.Cut(v.Sentence, job.MaxMessageBytes),
		Details:       details,
		Event:         &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: judged},
	}
}

// command asks the stage's worker to run again. Its id counts the commands to the
// job, as the record does, so one that is sent twice is known as one.
func (r *Runner) command(stored *jobstore.Stored, v *judge.Verdict) *resiliencyv1.JobCommand {
	jobID := stored.Record.JobID
	attempt, before := v.Resume.ExpectedAttempt, v.Resume.Before
	return &resiliencyv1.JobCommand{
		EventId:         job.EventID("job-command", "resume", jobID, strconv.Itoa(int(attempt)), strconv.Itoa(before)),
		OccurredAt:      timestamppb.New(r.Now().UTC().Truncate(job.Precision)),
		JobId:           jobID,
		Attempt:         attempt,
		Stage:           &resiliencyv1.Stage{Name: v.Resume.Stage, Ordinal: v.Resume.Ordinal},
		CorrelationId:   stored.Record.CorrelationID.Value,
		Source:          source,
		Reporter:        r.opts.Instance,
		ExpectedAttempt: attempt,
		NotAfter:        timestamppb.New(v.Resume.NotAfter),
		Reason:          job.Cut(v.Sentence, job.MaxMessageBytes),
		Event: &resiliencyv1.JobCommand_ResumeRequested{ResumeRequested: &resiliencyv1.JobResumeRequested{
			NewAttempt: v.Resume.NewAttempt, ResumesBefore: int32(before),
		}},
	}
}

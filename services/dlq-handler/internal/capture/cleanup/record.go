package cleanup

import (
	"context"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// ensureRecord makes sure that the job of a letter has a record, if the letter
// names one: recovery finds only what has a record. known is what the message
// says of the job; nil if nothing of it can be read. What is there is left alone.
func (c *Cleaner) ensureRecord(ctx context.Context, l *letter.Letter, known *job.Observation, why string) (action, text string, err error) {
	jobID := l.AboutJob()
	if jobID == "" {
		return ActionKept, why + " It names no job.", nil
	}
	record, err := c.get(ctx, jobID)
	if err != nil {
		return "", "", err
	}
	if record != nil {
		return ActionKept, why + " The job's record stays as it is.", nil
	}
	o := job.Observation{
		JobID: jobID, OccurredAt: l.Arrival.DiedAt, Source: source, CorrelationID: l.Stored().CorrelationID,
	}
	if known != nil {
		o = *known
	}
	// A claim of no kind: it describes the job and says nothing of its status, so
	// whatever is said later holds.
	o.Kind = 0
	if _, err := c.apply(ctx, &o); err != nil {
		return "", "", err
	}
	return ActionRecord, why + " Nobody knew the job, so a record was made for it.", nil
}

package cleanup

import (
	"cmp"
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// handleJobCommand fails the job of a command that reached nobody: whoever
// commanded counts on it, and nobody else will end the job. A job that has moved
// on since is left alone: one that is in another attempt, has ended, or has given
// a sign of life after the command was decided.
//
// not_after does not matter here: a command that has expired on its way reached
// nobody either. It matters to a replay.
func (c *Cleaner) handleJobCommand(ctx context.Context, m proto.Message, l *letter.Letter) (action, text string, err error) {
	command, ok := m.(*resiliencyv1.JobCommand)
	if !ok {
		return "", "", wrongType(m)
	}
	if err := jobevent.CheckHead(command, c.Now()); err != nil {
		return c.ensureRecord(ctx, l, nil, "The command breaks the contract: "+err.Error()+".")
	}
	what := commandName(command)
	if what == "" {
		return c.ensureRecord(ctx, l, nil, "The command is of a kind that a later release made.")
	}
	record, err := c.get(ctx, command.GetJobId())
	if err != nil {
		return "", "", err
	}
	o, moved := verdict(command, record, what, l)
	if moved != "" {
		return ActionMovedOn, "The job is left alone: " + moved + ".", nil
	}
	result, err := c.apply(ctx, &o)
	if err != nil {
		return "", "", err
	}
	if !result.Outcome.Changed() {
		return ActionMovedOn, fmt.Sprintf("The job is left alone: it has moved on since (%s).", result.Outcome), nil
	}
	return ActionFailed, "The job is FAILED (ASSUMED): the command to " + what + " reached nobody. A later sign of life opens it again.", nil
}

func commandName(c *resiliencyv1.JobCommand) string {
	switch c.GetEvent().(type) {
	case *resiliencyv1.JobCommand_ResumeRequested:
		return "resume it"
	case *resiliencyv1.JobCommand_CancelRequested:
		return "end it"
	default:
		return ""
	}
}

// verdict is the claim that fails the job, of the very life that it is in, at
// the moment of the command: by the merge rule any later sign of life outdoes it.
// moved says why there is none.
func verdict(c *resiliencyv1.JobCommand, record *job.Record, what string, l *letter.Letter) (o job.Observation, moved string) {
	attempt := cmp.Or(c.GetExpectedAttempt(), c.GetAttempt())
	o = job.Observation{
		EventID: job.EventID("undeliverable", l.Stored().ID), JobID: c.GetJobId(), Attempt: attempt,
		Ordinal: c.GetStage().GetOrdinal(), Stage: c.GetStage().GetName(),
		OccurredAt: c.GetOccurredAt().AsTime(), CorrelationID: c.GetCorrelationId(), Source: source,
		Kind: job.KindStatus, State: job.StateFailed, Evidence: job.EvidenceAssumed,
		Detail: fmt.Sprintf("The command to %s died in %s: %s", what, l.Stored().Subscription, l.Stored().Reason),
		Cause: job.CauseDetail{
			Cause: job.CauseUndeliverable, Message: "the command to " + what + " reached nobody", Reason: "DeadLettered",
		},
	}
	if record == nil || record.Status.State == job.StateUnspecified {
		return o, ""
	}
	s := &record.Status
	switch {
	case s.Attempt != attempt:
		return o, fmt.Sprintf("the command is about attempt %d, and it is in attempt %d", attempt, s.Attempt)
	case job.Terminal(s.State):
		return o, "it has ended: it is " + job.StateName(s.State)
	case s.OccurredAt.After(o.OccurredAt):
		return o, "it has been " + job.StateName(s.State) + " since the command was decided"
	}
	o.Ordinal, o.Stage = s.Ordinal, s.Stage
	o.Kubernetes = job.Kubernetes{UID: s.UID, CreatedAt: s.CreatedAt}
	if k := &record.Kubernetes; k.UID == s.UID {
		o.Kubernetes = k.Kubernetes
	}
	return o, ""
}

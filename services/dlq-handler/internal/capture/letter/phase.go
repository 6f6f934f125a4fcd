package letter

import (
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Phase is the entry of the job's phase log that a letter makes when it is
// opened, or nil when no job can be told. record is the job's as it is known, nil
// without one. The same letter in the same episode makes the same phase.
func (l *Letter) Phase(stored *letters.Letter, record *job.Record) *resiliencyv1.PhaseEvent {
	if l.AboutJob() == "" {
		return nil
	}
	phase := &resiliencyv1.PhaseEvent{
		EventId:       job.EventID("dead-lettered", stored.ID, strconv.FormatInt(stored.Episode, 10)),
		OccurredAt:    timestamppb.New(l.Arrival.DiedAt),
		JobId:         stored.JobID,
		Attempt:       1,
		CorrelationId: stored.CorrelationID,
		Source:        resiliencyv1.Source_SOURCE_DLQ_HANDLER,
		Name:          "message.dead_lettered",
		Sequence:      stored.Episode - 1,
		Message:       job.Cut("A message died in "+stored.Subscription+": "+stored.Reason, job.MaxMessageBytes),
		Details:       map[string]string{"type": stored.Type, "attempts": strconv.FormatInt(stored.Attempts, 10)},
		Event: &resiliencyv1.PhaseEvent_DeadLettered{DeadLettered: &resiliencyv1.DeadLettered{
			LetterId: stored.ID, Subscription: stored.Subscription, Reason: stored.Reason, Category: string(stored.Category),
		}},
	}
	l.place(phase, record)
	return phase
}

// place says to which run and stage the phase belongs: those of the message, if
// it can be believed, or else those that the job is in.
func (l *Letter) place(phase *resiliencyv1.PhaseEvent, record *job.Record) {
	if h, ok := l.Message.(jobevent.Head); ok && jobevent.CheckHead(h, l.Arrival.DiedAt) == nil {
		phase.Attempt, phase.Stage = h.GetAttempt(), h.GetStage()
		return
	}
	if record == nil {
		return
	}
	if v := record.View(); v.Attempt >= 1 {
		phase.Attempt, phase.Stage = v.Attempt, &resiliencyv1.Stage{Name: v.Stage, Ordinal: v.Ordinal}
	}
}

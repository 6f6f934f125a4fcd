package consume

import (
	"context"
	"errors"

	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
)

// entry is a log entry in hand.
type entry struct {
	*logentry.Entry
	meta *messaging.Meta
}

// HandleLogEntry handles one entry of the log. nil acks it, whatever it says and
// whoever wrote it: only what comes from the log witness or from Kubernetes
// itself and cannot be read is a permanent error.
func (h *Handler) HandleLogEntry(ctx context.Context, msg messaging.RawMessage) error {
	read, err := logentry.Read(msg.Data)
	if err != nil {
		outcome := outcomeUndecodable
		if errors.Is(err, logentry.ErrTooLarge) {
			outcome = outcomeTooLarge
		}
		h.Metrics.entry(logentry.KindUnknown, outcome)
		return messaging.Undecodable(err)
	}
	e := entry{Entry: read, meta: &msg.Meta}
	outcome, err := h.handleEntry(ctx, e)
	h.Metrics.entry(e.Kind, outcome)
	return err
}

func (h *Handler) handleEntry(ctx context.Context, e entry) (outcome string, err error) {
	if h.Trust.Foreign(e.Entry) {
		h.odd(e, "", "it comes from another cluster", "entry not trusted")
		return outcomeForeign, nil
	}
	switch e.Kind {
	case logentry.KindJobEvent:
		return h.handleJobLine(ctx, e)
	case logentry.KindPhaseEvent:
		return h.handlePhaseLine(ctx, e)
	case logentry.KindEventOfJob:
		return h.handleEventOfJob(ctx, e)
	case logentry.KindEventOfPod:
		return h.handleEventOfPod(ctx, e)
	default:
		return outcomeIgnored, nil
	}
}

// early gives an entry back once, when what it needs may be on its way: entries
// overtake messages of the other topic, mostly when a backlog is worked off. Not
// twice: most of what stays unknown is none of ours, and it must neither come
// back for long nor end among the dead letters.
func early(e entry, err error) (outcome string, again error) {
	if e.meta.DeliveryAttempt == 1 {
		return outcomeEarly, resilience.Retryable(err)
	}
	return "", nil
}

// odd logs that an entry does not count, and why.
func (h *Handler) odd(e entry, jobID, why, message string) {
	h.oddities.Warn().
		Str("kind", e.Kind.String()).
		Str("job_id", messaging.Cut(jobID, 128)).
		Str("message_id", e.meta.MessageID).
		Str("cluster", e.Cluster()).
		Str("namespace", e.Namespace()).
		Str("pod", e.Pod()).
		Str("container", e.Container()).
		Str("why", messaging.Cut(why, messaging.MaxAttributeValue)).
		Msg(message)
}

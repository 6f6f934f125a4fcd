package cleanup

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// source names dlq-handler in what it says of jobs.
const source = resiliencyv1.Source_SOURCE_DLQ_HANDLER

// handleJobEvent applies the end of a job that never got through. Anything else
// that an event can say will be said again, or comes with the replay.
func (c *Cleaner) handleJobEvent(ctx context.Context, m proto.Message, l *letter.Letter) (action, text string, err error) {
	e, ok := m.(*resiliencyv1.JobEvent)
	if !ok {
		return "", "", wrongType(m)
	}
	o, err := jobevent.Decode(e, c.Now())
	switch {
	case err != nil:
		// It breaks the contract, or a later release made it: what it says of the
		// job cannot be taken over.
		return c.ensureRecord(ctx, l, nil, "The event cannot be applied: "+err.Error()+".")
	case o.Kind != job.KindStatus || !job.Terminal(o.State):
		return c.ensureRecord(ctx, l, &o, "The event does not end the job.")
	}
	result, err := c.apply(ctx, &o)
	if err != nil {
		return "", "", err
	}
	is := result.After.View()
	if result.Before.Status == result.After.Status {
		// What else the event says, such as whose the job is, may have been news.
		return ActionKnown, fmt.Sprintf("The event says %s; the record knew that or better: attempt %d is %s.",
			job.StateName(o.State), is.Attempt, job.StateName(is.State)), nil
	}
	return ActionApplied, fmt.Sprintf("The job is %s, as the event says (%s).", job.StateName(is.State), result.Outcome), nil
}

func wrongType(m proto.Message) error {
	return resilience.Permanent(fmt.Errorf("handler was given a %s", m.ProtoReflect().Descriptor().FullName()))
}

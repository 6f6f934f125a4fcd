package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// Actions, as letters and metrics show them.
const (
	// ActionApplied: a terminal status was news and is in the record now.
	ActionApplied = "applied"
	// ActionKnown: the record knew it, or knew better.
	ActionKnown = "already_known"
	// ActionFailed: the job was failed because a command did not reach anybody.
	ActionFailed = "job_failed"
	// ActionMovedOn: the job had moved on since the command.
	ActionMovedOn = "job_moved_on"
	// ActionRecord: a record was made, so that the job is not forgotten.
	ActionRecord = "record_made"
	// ActionKept: nothing was to be done but to keep the letter.
	ActionKept = "kept"
)

// Records is where claims are applied and jobs are looked up.
type Records interface {
	Apply(ctx context.Context, o *job.Observation) (jobstore.Result, error)
	// Get returns the record as it is now; found is false without one.
	Get(ctx context.Context, jobID string) (stored jobstore.Stored, found bool, err error)
}

// Breaker keeps calls from Firestore while it is down.
type Breaker interface {
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Outbox takes committed entries that are to be published now; it never blocks.
type Outbox interface {
	Offer(entries []jobstore.Entry)
}

// Parts are what a Cleaner works with.
type Parts struct {
	Records Records
	Breaker Breaker
	Outbox  Outbox
	Now     func() time.Time
	Log     zerolog.Logger
}

// handle does what one type of message asks for; m is decoded and can be
// believed. It returns the action and a sentence.
type handle func(ctx context.Context, m proto.Message, l *letter.Letter) (action, text string, err error)

// Cleaner cleans up. It is safe for concurrent use.
type Cleaner struct {
	Parts
	handlers map[string]handle
}

// New returns a cleaner.
func New(parts Parts) *Cleaner {
	c := &Cleaner{Parts: parts}
	c.handlers = map[string]handle{
		nameOf(&resiliencyv1.JobEvent{}):   c.handleJobEvent,
		nameOf(&resiliencyv1.JobCommand{}): c.handleJobCommand,
		nameOf(&resiliencyv1.JobUpdate{}):  c.handleJobUpdate,
		nameOf(&resiliencyv1.PhaseEvent{}): c.handlePhaseEvent,
	}
	return c
}

func nameOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// Clean does what the letter asks for, and says what that was. An error means
// that it could not be done now, mostly because Firestore does not answer: it is
// to be tried again. What can never be done is no error.
func (c *Cleaner) Clean(ctx context.Context, l *letter.Letter) (letters.Cleanup, error) {
	action, text, err := c.clean(ctx, l)
	if err != nil && !resilience.IsPermanent(err) {
		return letters.Cleanup{}, fmt.Errorf("clean up after letter %s: %w", l.Stored().ID, err)
	}
	if err != nil {
		action, text = ActionKept, "Nothing could be done for the job: "+err.Error()
	}
	return letters.Cleanup{
		Action: action, Text: job.Cut(text, job.MaxMessageBytes), At: c.Now().UTC().Truncate(job.Precision),
	}, nil
}

func (c *Cleaner) clean(ctx context.Context, l *letter.Letter) (action, text string, err error) {
	if !l.Known {
		return ActionKept, "It does not come from a subscription of ours, so nothing is concluded from it.", nil
	}
	if handler := c.handlers[l.Stored().Type]; l.Trusted && l.Message != nil && handler != nil {
		return handler(ctx, l.Message, l)
	}
	return c.ensureRecord(ctx, l, nil, "It could not be read.")
}

// get reads a record. A cached one will not do: whether a job has moved on is
// judged by it.
func (c *Cleaner) get(ctx context.Context, jobID string) (record *job.Record, err error) {
	err = c.Breaker.Do(ctx, func(ctx context.Context) error {
		stored, found, err := c.Records.Get(ctx, jobID)
		if found {
			record = stored.Record
		}
		return err
	})
	return record, err
}

// apply merges a claim and hands on what is to be published.
func (c *Cleaner) apply(ctx context.Context, o *job.Observation) (result jobstore.Result, err error) {
	err = c.Breaker.Do(ctx, func(ctx context.Context) error {
		result, err = c.Records.Apply(ctx, o)
		return err
	})
	if err != nil {
		return result, err
	}
	c.Outbox.Offer(result.Entries)
	if result.Outcome.Changed() {
		to := result.After.View()
		c.Log.Info().Ctx(ctx).Str("job_id", o.JobID).Str("event_id", job.Cut(o.EventID, 128)).Int64("revision", result.Revision).
			Str("outcome", result.Outcome.String()).Str("to", job.StateName(to.State)).Msg("record changed because of a dead letter")
	}
	return result, nil
}

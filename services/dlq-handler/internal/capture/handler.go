package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// Letters is where letters are kept.
type Letters interface {
	Put(ctx context.Context, a *letters.Arrival, announce letters.AnnounceFunc) (letters.Letter, letters.Placed, []jobstore.Entry, error)
	Finish(ctx context.Context, l *letters.Letter, done []letters.Step, cleanup *letters.Cleanup, tenant string) error
}

// Objects takes payloads that are too large for a letter, and says where they are.
type Objects interface {
	Keep(ctx context.Context, letterID, sha256 string, payload []byte) (uri string, err error)
}

// Records tells of jobs, as they were within the last minute.
type Records interface {
	Recent(ctx context.Context, jobID string) (stored jobstore.Stored, found bool, err error)
}

// Cleaner does what a letter asks for its job.
type Cleaner interface {
	Clean(ctx context.Context, l *letter.Letter) (letters.Cleanup, error)
}

// Notes takes facts that people are to know of; when it returns, the fact is
// kept and will be told.
type Notes interface {
	Note(ctx context.Context, f *notify.Fact) error
}

// Breaker keeps calls from Firestore while it is down.
type Breaker interface {
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Outbox takes committed entries that are to be published now; it never blocks.
type Outbox interface {
	Offer(entries []jobstore.Entry)
}

// Parts are what a Handler works with.
type Parts struct {
	Letters Letters
	Objects Objects
	Records Records
	Cleaner Cleaner
	Notes   Notes
	Breaker Breaker
	Outbox  Outbox
	Metrics *Metrics
	// ProjectID is our own project: a letter that says it died in another's
	// subscription is of an unknown one.
	ProjectID string
	Now       func() time.Time
	Log       zerolog.Logger
}

// Handler handles dead letters. It is safe for concurrent use.
type Handler struct{ Parts }

// New returns a handler.
func New(parts Parts) *Handler { return &Handler{parts} }

// Handle stores a letter, cleans up its job and tells of it. nil means that all
// of it is done. The error is never permanent.
func (h *Handler) Handle(ctx context.Context, msg messaging.RawMessage) error {
	err := h.handle(ctx, &msg)
	if err != nil && resilience.IsPermanent(err) {
		return resilience.Retryable(err) // there are no dead letters of dead letters
	}
	return err
}

func (h *Handler) handle(ctx context.Context, msg *messaging.RawMessage) error {
	l := letter.Read(msg, h.ProjectID, h.Now())
	record, described := h.describe(ctx, &l)
	stored, placed, err := h.store(ctx, &l, record)
	if err != nil {
		h.Metrics.captured(outcomeNotStored, l.Stored())
		return err
	}
	h.Metrics.captured(string(placed), &stored)
	if placed == letters.PlacedNew || placed == letters.PlacedReopened {
		h.tell(ctx, &stored, placed, msg)
	}
	return h.finish(ctx, &l, &stored, described)
}

// describe looks up whose the letter is: its job's record knows, or else the
// message. Without an answer it stays open, since the message may say it wrong;
// finish completes it.
func (h *Handler) describe(ctx context.Context, l *letter.Letter) (record *job.Record, known bool) {
	jobID := l.AboutJob()
	if jobID == "" {
		return nil, true
	}
	err := h.Breaker.Do(ctx, func(ctx context.Context) error {
		stored, found, err := h.Records.Recent(ctx, jobID)
		if found {
			record = stored.Record
		}
		return err
	})
	if err != nil {
		return nil, false
	}
	l.Stored().Tenant = l.Tenant
	if record != nil {
		l.Stored().Tenant = cmp.Or(record.Tenant.Value, l.Tenant)
	}
	return record, true
}

func (h *Handler) store(ctx context.Context, l *letter.Letter, record *job.Record) (letters.Letter, letters.Placed, error) {
	s := l.Stored()
	if len(s.Payload) > letters.MaxInlinePayload {
		uri, err := h.Objects.Keep(ctx, s.ID, s.PayloadSHA256, s.Payload)
		if err != nil {
			return letters.Letter{}, "", fmt.Errorf("keep the payload of letter %s: %w", s.ID, err)
		}
		s.Payload, s.PayloadURI = nil, uri
	}
	var stored letters.Letter
	var placed letters.Placed
	var entries []jobstore.Entry
	err := h.Breaker.Do(ctx, func(ctx context.Context) error {
		var err error
		stored, placed, entries, err = h.Letters.Put(ctx, &l.Arrival, func(opened *letters.Letter) ([]jobstore.Entry, error) {
			return phases(ctx, l, opened, record)
		})
		return err
	})
	if err != nil {
		return letters.Letter{}, "", err
	}
	h.Outbox.Offer(entries)
	return stored, placed, nil
}

// phases are the entries that go out with the commit that opens a letter, in the
// trace of the message that died.
func phases(ctx context.Context, l *letter.Letter, opened *letters.Letter, record *job.Record) ([]jobstore.Entry, error) {
	phase := l.Phase(opened, record)
	if phase == nil {
		return nil, nil
	}
	entry, err := announce.Entry(phase)
	if err != nil {
		return nil, fmt.Errorf("phase of letter %s: %w", opened.ID, err)
	}
	messaging.AddTrace(ctx, entry.Attributes)
	return []jobstore.Entry{entry}, nil
}

// finish takes the steps that are left. One that fails holds up no other.
func (h *Handler) finish(ctx context.Context, l *letter.Letter, stored *letters.Letter, described bool) error {
	var errs []error
	var done []letters.Step
	var cleanup *letters.Cleanup
	if slices.Contains(stored.Pending, letters.StepCleanup) {
		outcome, err := h.Cleaner.Clean(ctx, l)
		h.Metrics.cleaned(outcome.Action, err, stored)
		if err != nil {
			errs = append(errs, err)
		} else {
			cleanup, done = &outcome, append(done, letters.StepCleanup)
		}
	}
	if slices.Contains(stored.Pending, letters.StepNotify) {
		if err := h.Notes.Note(ctx, fact(stored, cleanup)); err != nil {
			errs = append(errs, fmt.Errorf("tell of letter %s: %w", stored.ID, err))
		} else {
			done = append(done, letters.StepNotify)
		}
	}
	if len(done) > 0 {
		if !described {
			h.describe(ctx, l)
		}
		tenant := l.Stored().Tenant
		errs = append(errs, h.Breaker.Do(ctx, func(ctx context.Context) error {
			return h.Letters.Finish(ctx, stored, done, cleanup, tenant)
		}))
	}
	return errors.Join(errs...)
}

// tell logs a letter that people must look at, in the trace of the message that died.
func (h *Handler) tell(ctx context.Context, l *letters.Letter, placed letters.Placed, msg *messaging.RawMessage) {
	h.Log.Warn().Ctx(ctx).Str("letter_id", l.ID).Str("message_id", msg.MessageID).
		Str("job_id", l.JobID).Str("correlation_id", job.Cut(l.CorrelationID, 256)).Str("event_id", l.EventID).
		Str("source_subscription", l.Subscription).Str("type", l.Type).Str("category", string(l.Category)).
		Str("dependency", l.Dependency).Str("fingerprint", l.Fingerprint).Int64("delivery_attempt", l.Attempts).
		Int64("replays", l.Replays).Int64("bytes", l.PayloadSize).Str("placed", string(placed)).Str("error", l.Reason).
		Msg("dead letter kept")
}

package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
)

// Letters is where letters and operations are kept.
type Letters interface {
	Get(ctx context.Context, id string) (letters.Letter, error)
	List(ctx context.Context, f letters.Filter, after *letters.Cursor, limit int) (letters.Page, error)
	Count(ctx context.Context, f letters.Filter) (int64, error)
	Claim(ctx context.Context, id string, by letters.Claim, reason string) (letters.Letter, error)
	Confirm(ctx context.Context, claimed *letters.Letter) (letters.Letter, error)
	Release(ctx context.Context, claimed *letters.Letter, why string, counts bool) (letters.Letter, error)
	ReleaseLost(ctx context.Context, l *letters.Letter, holderGone bool) (letters.Letter, error)

	StartOperation(ctx context.Context, o letters.Operation) (letters.Operation, error)
	TakeOperation(ctx context.Context, owner string, lease time.Duration) (letters.Operation, bool, error)
	SaveOperation(ctx context.Context, o *letters.Operation, lease time.Duration) error
	CountSent(ctx context.Context, operationID string) (int64, error)
}

// Publisher sends a message and returns nil once Pub/Sub has it.
type Publisher interface {
	PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error
}

// Objects reads payloads that are too large for a letter.
type Objects interface {
	Fetch(ctx context.Context, uri string) ([]byte, error)
	Open(ctx context.Context, uri string) (content io.ReadCloser, size int64, err error)
}

// Parts are what an Engine works with.
type Parts struct {
	Letters   Letters
	Publisher Publisher
	Objects   Objects
	Metrics   *Metrics
	Now       func() time.Time
	Log       zerolog.Logger
}

// Engine replays letters. It is safe for concurrent use.
type Engine struct {
	Parts
	wake chan struct{}
	// large has room for the letters whose payload is in a bucket and that are sent
	// at the same time.
	large chan struct{}
}

// maxLarge is how many of the largest messages, of 10 MB, may be in memory at once,
// each some times over on its way out, however many people replay such letters.
const maxLarge = 2

// New returns an engine.
func New(parts Parts) *Engine {
	return &Engine{Parts: parts, wake: make(chan struct{}, 1), large: make(chan struct{}, maxLarge)}
}

// Replay replays one letter at a person's request. That nothing was sent is no
// error if the result says why; an error means that Firestore or Pub/Sub does not
// answer, or wraps letters.ErrNotFound.
func (e *Engine) Replay(ctx context.Context, id, by, reason string) (letters.ReplayResult, error) {
	return e.send(ctx, id, letters.Claim{By: by}, reason)
}

// send replays a letter: claim, publish, confirm.
func (e *Engine) send(ctx context.Context, id string, by letters.Claim, reason string) (letters.ReplayResult, error) {
	l, err := e.Letters.Get(ctx, id)
	if err != nil {
		return letters.ReplayResult{}, fmt.Errorf("replay letter %s: %w", id, err)
	}
	if why := refusal(&l, e.Now()); why != "" {
		return e.result(&l, letters.ReplayRefused, why), nil
	}
	payload, done, err := e.payload(ctx, &l)
	defer done()
	if err != nil {
		if resilience.IsPermanent(err) {
			return e.result(&l, letters.ReplayRefused, "Its payload cannot be read: "+err.Error()), nil
		}
		return letters.ReplayResult{}, fmt.Errorf("replay letter %s: %w", id, err)
	}
	claimed, err := e.Letters.Claim(ctx, id, by, reason)
	if errors.Is(err, letters.ErrState) {
		return e.busy(&claimed), nil
	}
	if err != nil {
		return letters.ReplayResult{}, fmt.Errorf("replay letter %s: %w", id, err)
	}
	// From here on the letter must not stay claimed because the caller went away.
	ctx = context.WithoutCancel(ctx)
	sent := attributes(&l, claimed.Replays)
	if err := e.Publisher.PublishRaw(ctx, l.Topic, payload, sent); err != nil {
		return e.giveBack(ctx, &claimed, err)
	}
	e.Metrics.sent(&claimed)
	e.Log.Info().Ctx(messaging.WithTrace(ctx, messaging.Trace(sent))).
		Str("letter_id", id).Str("job_id", l.JobID).Str("event_id", l.EventID).Str("topic", l.Topic).
		Str("source_subscription", l.Subscription).Int64("replay", claimed.Replays).Str("by", by.By).
		Str("operation_id", by.Operation).Msg("letter replayed")
	now, err := e.confirm(ctx, &claimed)
	if err != nil {
		return letters.ReplayResult{}, fmt.Errorf("letter %s has been sent, but that could not be noted: %w", id, err)
	}
	return e.result(&now, letters.ReplaySent, "It has been sent to "+l.Subscription+" again."), nil
}

// confirm notes that a letter has been sent; more than once if need be, for
// otherwise it would be opened and sent again.
func (e *Engine) confirm(ctx context.Context, claimed *letters.Letter) (now letters.Letter, err error) {
	err = resilience.Backoff{Initial: 250 * time.Millisecond, Attempts: 5}.Retry(ctx, func(ctx context.Context) error {
		now, err = e.Letters.Confirm(ctx, claimed)
		if errors.Is(err, letters.ErrState) {
			return nil // another replay that has taken it over says what became of it
		}
		return err
	})
	return now, err //nolint:wrapcheck // send wraps it
}

// giveBack opens a letter again that could not be sent.
func (e *Engine) giveBack(ctx context.Context, claimed *letters.Letter, cause error) (letters.ReplayResult, error) {
	why := "Pub/Sub does not take it: " + cause.Error()
	own := resilience.IsPermanent(cause)
	refused := own
	if messaging.Missing(cause) {
		why, refused = "Its topic "+claimed.Topic+" does not exist. Create the topic, then replay it.", true
	}
	now, err := e.Letters.Release(ctx, claimed, why, own)
	if err != nil && !errors.Is(err, letters.ErrState) {
		return letters.ReplayResult{}, errors.Join(fmt.Errorf("replay letter %s: %w", claimed.ID, cause), err)
	}
	if refused {
		return e.result(&now, letters.ReplayRefused, why), nil
	}
	e.Metrics.outcome(letters.ReplayRefused)
	return letters.ReplayResult{}, fmt.Errorf("replay letter %s: %w", claimed.ID, cause)
}

// busy says why a letter could not be claimed.
func (e *Engine) busy(l *letters.Letter) letters.ReplayResult {
	switch l.State {
	case letters.StateReplaying:
		return e.result(l, letters.ReplayBusy, fmt.Sprintf("%s is replaying it at this moment; nothing was sent twice.", l.Claim.By))
	case letters.StateReplayed:
		return e.result(l, letters.ReplayAlready, fmt.Sprintf("%s replayed it at %s and it has not died since; nothing was sent.",
			l.Claim.By, l.Claim.At.Format(time.RFC3339)))
	default:
		return e.result(l, letters.ReplayRefused, "It is "+string(l.State)+"; nothing was sent.")
	}
}

func (e *Engine) result(l *letters.Letter, outcome letters.ReplayOutcome, text string) letters.ReplayResult {
	e.Metrics.outcome(outcome)
	return letters.ReplayResult{Outcome: outcome, Text: text, Letter: *l}
}

// Payload is the payload of a letter, wherever it is kept, and its size. It is read
// as it comes, until ctx ends, and is the caller's to close.
func (e *Engine) Payload(ctx context.Context, l *letters.Letter) (content io.ReadCloser, size int64, err error) {
	if l.PayloadURI == "" {
		return io.NopCloser(bytes.NewReader(l.Payload)), int64(len(l.Payload)), nil
	}
	return e.Objects.Open(ctx, l.PayloadURI) //nolint:wrapcheck // it names the object
}

// payload holds the payload until done is called.
func (e *Engine) payload(ctx context.Context, l *letters.Letter) (payload []byte, done func(), err error) {
	if l.PayloadURI == "" {
		return l.Payload, func() {}, nil
	}
	select {
	case e.large <- struct{}{}:
	case <-ctx.Done():
		return nil, func() {}, fmt.Errorf("wait until other large letters are sent: %w", ctx.Err())
	}
	payload, err = e.Objects.Fetch(ctx, l.PayloadURI)
	return payload, func() { <-e.large }, err //nolint:wrapcheck // it names the object
}

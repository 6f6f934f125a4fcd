package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// RunnerConfig tunes a Runner. Zero values take the defaults.
type RunnerConfig struct {
	// Owner names the process, unique among those that share the store.
	Owner string
	// Poll is the time between looks for operations that another process left;
	// 15 s by default.
	Poll time.Duration
	// Lease is for how long an operation is held at a time; 30 s by default.
	Lease time.Duration
	// SaveEvery is the least time between two saves of progress; 1 s by default,
	// as Firestore bears one write a second to a document.
	SaveEvery time.Duration
	// OutageDelay is the pause while Pub/Sub or Firestore does not answer; 5 s by
	// default.
	OutageDelay time.Duration
}

func (c RunnerConfig) withDefaults() RunnerConfig {
	set := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.Poll, 15*time.Second)
	set(&c.Lease, 30*time.Second)
	set(&c.SaveEvery, time.Second)
	set(&c.OutageDelay, 5*time.Second)
	return c
}

// pageSize is how many letters are looked at together.
const pageSize = 50

// Runner carries out operations, one at a time.
type Runner struct {
	engine *Engine
	cfg    RunnerConfig
}

// NewRunner returns a runner of the engine's operations.
func NewRunner(engine *Engine, cfg RunnerConfig) *Runner {
	return &Runner{engine: engine, cfg: cfg.withDefaults()}
}

// Run works until ctx ends; what it has in hand then is left for any process to
// take up at once.
func (r *Runner) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		o, ok, err := r.engine.Letters.TakeOperation(ctx, r.cfg.Owner, r.cfg.Lease)
		if err != nil && ctx.Err() == nil {
			r.engine.Log.Warn().Err(err).Msg("operations cannot be looked for")
		}
		if !ok || !r.work(ctx, &o) {
			r.mend(ctx)
			r.idle(ctx)
		}
	}
	return nil
}

func (r *Runner) idle(ctx context.Context) {
	timer := time.NewTimer(r.cfg.Poll)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.engine.wake:
	case <-ctx.Done():
	}
}

// mend opens letters whose replay has not said in time what became of it.
func (r *Runner) mend(ctx context.Context) {
	page, err := r.engine.Letters.List(ctx, letters.Filter{State: letters.StateReplaying}, nil, letters.MaxPage)
	if err != nil {
		return // the next look finds them
	}
	for i := range page.Letters {
		l := &page.Letters[i]
		if !r.engine.Now().After(l.Claim.Until) {
			continue
		}
		if _, err := r.engine.Letters.ReleaseLost(ctx, l, false); err == nil {
			r.engine.Log.Warn().Str("letter_id", l.ID).Int64("replay", l.Replays).Str("by", l.Claim.By).
				Msg("replay was interrupted; the letter is open again")
		}
	}
}

// run is one operation in hand.
type run struct {
	*Runner
	op    *letters.Operation
	pace  *rate.Limiter
	saved time.Time
}

// work carries an operation out. It returns false when it could not: a pause is
// due then.
func (r *Runner) work(ctx context.Context, o *letters.Operation) bool {
	r.engine.Metrics.running.Inc()
	defer r.engine.Metrics.running.Dec()
	w := &run{Runner: r, op: o, pace: rate.NewLimiter(rate.Limit(o.Rate), 1), saved: r.engine.Now()}
	err := w.all(ctx)
	log := r.engine.Log.With().Str("operation_id", o.ID).Int64("replayed", o.Replayed).
		Int64("skipped", o.Skipped).Int64("failed", o.Failed).Logger()
	switch {
	case errors.Is(err, letters.ErrState):
		log.Info().Msg("operation was cancelled or taken over")
		return true
	case ctx.Err() != nil || err != nil && !resilience.IsPermanent(err):
		log.Info().Err(err).Msg("operation is left to be taken up again")
		r.leave(ctx, o)
		return false
	case err != nil:
		o.State, o.LastError = letters.OperationFailed, err.Error()
	default:
		o.State = letters.OperationDone
	}
	if err := r.engine.Letters.SaveOperation(ctx, o, r.cfg.Lease); err != nil {
		log.Warn().Err(err).Msg("the end of an operation could not be saved; it is taken up again")
		return false
	}
	log.Info().Str("state", string(o.State)).Str("error", o.LastError).Msg("operation has ended")
	return true
}

// leave saves how far the operation is and lets go of it.
func (r *Runner) leave(ctx context.Context, o *letters.Operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.engine.Letters.SaveOperation(ctx, o, 0); err != nil {
		r.engine.Log.Warn().Err(err).Str("operation_id", o.ID).Msg("operation could not be saved; its lease ends by itself")
	}
}

// all works from the operation's cursor to the end of its filter.
func (w *run) all(ctx context.Context) error {
	if err := w.takeUp(ctx); err != nil {
		return err
	}
	for {
		page, err := w.engine.Letters.List(ctx, w.op.Filter, w.op.Cursor, pageSize)
		if err != nil {
			return fmt.Errorf("list the letters of operation %s: %w", w.op.ID, err)
		}
		for i := range page.Letters {
			if w.op.Limit > 0 && w.op.Replayed >= w.op.Limit {
				return nil
			}
			if err := w.one(ctx, &page.Letters[i]); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return nil
		}
	}
}

// takeUp mends what a process left that died: letters that it had claimed, and
// the count of those it had sent since it saved.
func (w *run) takeUp(ctx context.Context) error {
	page, err := w.engine.Letters.List(ctx, letters.Filter{State: letters.StateReplaying}, nil, letters.MaxPage)
	if err != nil {
		return fmt.Errorf("look for letters that operation %s left: %w", w.op.ID, err)
	}
	for i := range page.Letters {
		if l := &page.Letters[i]; l.Claim.Operation == w.op.ID {
			if _, err := w.engine.Letters.ReleaseLost(ctx, l, true); err != nil && !errors.Is(err, letters.ErrState) {
				return fmt.Errorf("open a letter that operation %s left: %w", w.op.ID, err)
			}
		}
	}
	sent, err := w.engine.Letters.CountSent(ctx, w.op.ID)
	if err != nil {
		return fmt.Errorf("count what operation %s has sent: %w", w.op.ID, err)
	}
	w.op.Replayed = max(w.op.Replayed, sent)
	return nil
}

// one replays one letter, however long Pub/Sub is away.
func (w *run) one(ctx context.Context, l *letters.Letter) error {
	if err := w.wait(ctx, w.pace.Reserve().Delay()); err != nil {
		return err
	}
	claim := letters.Claim{By: w.op.By, Operation: w.op.ID}
	for {
		result, err := w.engine.send(ctx, l.ID, claim, w.op.Reason)
		if err == nil {
			w.count(&result)
			break
		}
		if errors.Is(err, letters.ErrNotFound) {
			w.op.Skipped++ // it expired
			break
		}
		if resilience.IsPermanent(err) {
			w.op.Failed++
			w.op.LastError = err.Error()
			break
		}
		w.op.LastError = err.Error()
		w.engine.Log.Warn().Err(err).Str("operation_id", w.op.ID).Msg("operation waits")
		if err := w.wait(ctx, w.cfg.OutageDelay); err != nil {
			return err
		}
	}
	w.op.Cursor = &letters.Cursor{At: l.LastSeenAt, ID: l.ID}
	return w.save(ctx)
}

func (w *run) count(result *letters.ReplayResult) {
	switch result.Outcome {
	case letters.ReplaySent:
		w.op.Replayed++
	case letters.ReplayRefused:
		w.op.Failed++
		w.op.LastError = result.Text
	default:
		w.op.Skipped++
	}
}

// wait pauses, and keeps the lease while it does.
func (w *run) wait(ctx context.Context, d time.Duration) error {
	for until := w.engine.Now().Add(d); ; {
		left := until.Sub(w.engine.Now())
		if left <= 0 {
			return ctx.Err() //nolint:wrapcheck // work reads it
		}
		timer := time.NewTimer(min(left, w.cfg.Lease/3))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err() //nolint:wrapcheck // work reads it
		}
		if err := w.save(ctx); err != nil {
			return err
		}
	}
}

// save stores progress, not too often. Only that the operation is no longer ours
// is an error: progress that is not saved is saved with the next.
func (w *run) save(ctx context.Context) error {
	now := w.engine.Now()
	if now.Sub(w.saved) < w.cfg.SaveEvery {
		return nil
	}
	w.saved = now
	err := w.engine.Letters.SaveOperation(ctx, w.op, w.cfg.Lease)
	if errors.Is(err, letters.ErrState) {
		return err //nolint:wrapcheck // work reads it
	}
	if err != nil && ctx.Err() == nil {
		w.engine.Log.Warn().Err(err).Str("operation_id", w.op.ID).Msg("progress of an operation could not be saved")
	}
	return nil
}

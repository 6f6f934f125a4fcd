package deliver

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// errJudgesBusy says that as many deletions are being judged as may be; this one
// is tried again after judgeAgain.
var errJudgesBusy = errors.New("other deletions are being judged")

const judgeAgain = 100 * time.Millisecond

// Run sends facts until ctx ends, then what is left, for as long as
// Config.Flush allows, and returns nil. A queue runs once.
func (q *Queue) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var workers sync.WaitGroup
	for range q.cfg.Workers {
		workers.Go(func() { q.worker(work) })
	}
	<-ctx.Done()
	q.flush(work)
	cancel()
	q.work.ShutDown()
	workers.Wait()
	if n := q.Pending(); n > 0 && q.Leads() {
		q.log.Warn().Int("facts", n).Msg("stopped with unconfirmed facts; the next start says them again")
	}
	return nil
}

// flush waits until nothing is left to do or the time is over. Jobs that wait
// for a retry are tried at once. A queue on standby has nothing to flush.
func (q *Queue) flush(ctx context.Context) {
	q.mu.Lock()
	if !q.leads {
		q.mu.Unlock()
		return // what is held here is the leader's to send
	}
	q.flushing = true
	for uid := range q.busy {
		q.work.Add(uid)
	}
	q.log.Info().Int("facts", q.pending).Msg("flushing")
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Flush)
	defer cancel()
	_ = q.Drained(ctx) // what is left is counted by Run
}

func (q *Queue) worker(ctx context.Context) {
	for {
		uid, shutdown := q.work.Get()
		if shutdown {
			return
		}
		q.serve(ctx, uid)
	}
}

// serve handles one UID. A panic is caught here: the same object would cause it
// again after every restart, and one bad object must not silence all others.
// Its facts stay, it is counted, and it is tried again with growing delays.
func (q *Queue) serve(ctx context.Context, uid types.UID) {
	defer q.work.Done(uid)
	defer func() {
		if r := recover(); r != nil {
			q.metrics.panics.Inc()
			q.log.Error().Str("uid", string(uid)).Interface("panic", r).Bytes("stack_trace", debug.Stack()).
				Msg("panic while delivering; trying again later")
			q.work.AddRateLimited(uid)
		}
	}()
	switch held, err := q.deliver(ctx, uid); {
	case err == nil:
		q.work.Forget(uid)
		if held > 0 {
			q.work.AddAfter(uid, held)
		}
	case ctx.Err() != nil: // the process ends; what is left was counted
	case errors.Is(err, errJudgesBusy):
		q.work.AddAfter(uid, judgeAgain)
	case resilience.CategoryOf(err) == resilience.CategoryDependency:
		// Sender.Wait holds all workers back until the dependency may be tried.
		// A delay of its own would only keep this Job waiting longer.
		q.work.Add(uid)
	default:
		level := zerolog.WarnLevel
		if errors.Is(err, resilience.ErrOpen) {
			level = zerolog.DebugLevel // the breaker has said so, once for all
		}
		q.log.WithLevel(level).Err(err).Str("uid", string(uid)).Int("retries", q.work.NumRequeues(uid)).Msg("delivery failed; trying again")
		q.work.AddRateLimited(uid)
	}
}

// deliver sends all that is known of a Job and judges its deletion: claims first,
// then the judgement, then phases, which may not be publishable for long; while nobody
// is free to judge, phases that can be published do not wait. It returns the first
// error after which something is left to do, and for how long facts are held back, 0
// when none is.
func (q *Queue) deliver(ctx context.Context, uid types.UID) (held time.Duration, err error) {
	for {
		if err := q.admit(ctx); err != nil {
			return 0, err
		}
		do := q.next(uid)
		var unjudged error
		if do.judge != nil && !do.claims() {
			unjudged = q.judge(ctx, uid, do.judge, do.judgement)
			if unjudged == nil {
				continue
			}
			if errors.Is(unjudged, errJudgesBusy) && q.phasesDown() {
				return 0, unjudged // so soon after the last time there is nothing to be tried
			}
		}
		if len(do.batch) > 0 {
			if err := q.send(ctx, uid, do.batch); err != nil {
				return 0, err
			}
		}
		if unjudged != nil || len(do.batch) == 0 {
			return do.held, unjudged
		}
	}
}

// todo is what is to be done for a Job: facts to send, and a judge with the
// number of its deletion.
type todo struct {
	batch     []waiting
	held      time.Duration
	judge     Judge
	judgement int
}

// claims reports whether the batch has any; they come first in it.
func (t *todo) claims() bool { return len(t.batch) > 0 && t.batch[0].Kind() != fact.KindPhase }

func (q *Queue) next(uid types.UID) todo {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[uid]
	if e == nil {
		return todo{}
	}
	do := todo{judge: e.judge, judgement: e.judgement}
	do.batch, do.held = e.batch(q.cfg.Batch, q.left)
	return do
}

// phasesDown reports whether phases could not be published the last time.
func (q *Queue) phasesDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.topics.phasesDown.IsZero()
}

// left is how long a fact that waits is to be held back yet.
func (q *Queue) left(w waiting) time.Duration {
	if q.flushing {
		return 0
	}
	return q.cfg.Hold - time.Since(w.seen)
}

func (q *Queue) send(ctx context.Context, uid types.UID, batch []waiting) error {
	facts := make([]fact.Fact, len(batch))
	for i := range batch {
		facts[i] = batch[i].Fact
	}
	if err := q.sender.Wait(ctx, facts); err != nil {
		return err //nolint:wrapcheck // only that ctx is done
	}
	q.attempt()
	defer q.attempt()
	settled := make(map[uint64]bool, len(batch))
	var failed error
	refused := 0
	errs := q.sender.Send(ctx, facts)
	for i, err := range errs {
		switch {
		case err == nil:
			settled[batch[i].hash] = true
			for _, other := range batch[i].joined {
				settled[other] = true
				q.metrics.joined.Inc()
			}
			q.metrics.published.WithLabelValues(batch[i].Kind()).Inc()
			q.metrics.latency.Observe(time.Since(batch[i].seen).Seconds())
		case resilience.IsPermanent(err):
			settled[batch[i].hash] = true
			refused++
			q.metrics.refused.WithLabelValues(batch[i].Kind()).Inc()
		case failed == nil || resilience.CategoryOf(err) == resilience.CategoryDependency:
			failed = err
		}
	}
	q.change(uid, func(e *entry) {
		e.settle(settled)
		q.refused += refused
		if q.leads { // else nobody finds out when they are back
			q.topics.hear(batch, errs)
		}
	})
	return failed
}

func (q *Queue) judge(ctx context.Context, uid types.UID, judge Judge, judgement int) error {
	select {
	case q.judging <- struct{}{}:
		defer func() { <-q.judging }()
	default:
		return errJudgesBusy
	}
	q.attempt()
	defer q.attempt()
	facts, err := judge(ctx)
	if err != nil {
		// Whatever broke is not what Sender.Wait watches: the delay is ours.
		return resilience.Retryable(err)
	}
	q.change(uid, func(e *entry) {
		if e.live || e.judgement != judgement {
			return // seen again meanwhile, or gone again
		}
		e.judge = nil
		q.keep(e, facts, []fact.Mark{e.gone})
	})
	return nil
}

func (q *Queue) attempt() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.attempted = time.Now()
}

package deliver

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

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
		q.log.Warn().Err(err).Str("uid", string(uid)).Int("retries", q.work.NumRequeues(uid)).Msg("delivery failed; trying again")
		q.work.AddRateLimited(uid)
	}
}

// deliver sends all that is known of a Job and judges its deletion. It returns
// the first error after which something is left to do, and for how long facts
// are held back, 0 when none is.
func (q *Queue) deliver(ctx context.Context, uid types.UID) (held time.Duration, err error) {
	for {
		if err := q.admit(ctx); err != nil {
			return 0, err
		}
		do := q.next(uid)
		switch {
		case len(do.batch) > 0:
			if err := q.send(ctx, uid, do.batch); err != nil {
				return 0, err
			}
		case do.judge != nil:
			if err := q.judge(ctx, uid, do.judge, do.judgement); err != nil {
				return 0, err
			}
		default:
			return do.held, nil
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

// left is how long a fact that waits is to be held back yet.
func (q *Queue) left(w waiting) time.Duration {
	if q.flushing {
		return 0
	}
	return q.cfg.Hold - time.Since(w.seen)
}

func (q *Queue) send(ctx context.Context, uid types.UID, batch []waiting) error {
	if err := q.sender.Wait(ctx); err != nil {
		return err //nolint:wrapcheck // only that ctx is done
	}
	q.attempt()
	defer q.attempt()
	facts := make([]fact.Fact, len(batch))
	for i := range batch {
		facts[i] = batch[i].Fact
	}
	settled := make(map[uint64]bool, len(batch))
	var failed error
	refused := 0
	for i, err := range q.sender.Send(ctx, facts) {
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
	q.change(uid, func(e *entry) { e.settle(settled); q.refused += refused })
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

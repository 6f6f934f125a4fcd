package deliver

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// Sender takes facts to where they are confirmed: Pub/Sub or the log.
type Sender interface {
	// Wait returns when sending these facts makes sense: at once, or when their
	// receiver, being down, may be tried again. Phases alone never wait: what holds
	// up a worker would hold up claims. It fails only when ctx is done.
	Wait(ctx context.Context, facts []fact.Fact) error
	// Send returns an outcome for each fact: nil when it is confirmed, a
	// permanent error when it is refused for good, else one that a retry may mend.
	Send(ctx context.Context, facts []fact.Fact) []error
}

// Judge finds out what the deletion of a Job means. Its error means that it
// could not: it is asked again later.
type Judge = func(ctx context.Context) ([]fact.Fact, error)

// Config tunes a Queue. Zero values take the defaults.
type Config struct {
	// Workers is how many Jobs are served at once; 16 by default.
	Workers int
	// Batch is how many facts of one Job are sent at once; 500 by default.
	Batch int
	// RetryMin and RetryMax bound the delay before a Job that failed for a
	// reason of its own is tried again; 500 ms and 30 s by default.
	RetryMin, RetryMax time.Duration
	// MaxPending is how many unconfirmed facts are kept before Seen and Also
	// block; 10,000 by default. A watch goes on for a while: it keeps the objects,
	// which are smaller than what they say. Phases that cannot be published while
	// claims can take half of it at most, see shed.
	MaxPending int
	// Hold is how long a fact that waits (see fact.Waits) does so; 5 s by default:
	// unless the pod is replaced, the end of a Job follows its cause within a second
	// or two, on a busy control plane within four.
	Hold time.Duration
	// Flush is how long Run goes on after its context has ended; 15 s by default.
	Flush time.Duration
	// Stall is after how long without any attempt, while facts wait, the queue
	// counts as stuck; 3 min by default. It must exceed the time that one
	// attempt may take.
	Stall time.Duration
	// Standby makes a queue that sends nothing before Lead.
	Standby bool
}

func (c Config) withDefaults() Config {
	if c.Workers <= 0 {
		c.Workers = 16
	}
	if c.Batch <= 0 {
		c.Batch = 500
	}
	if c.MaxPending <= 0 {
		c.MaxPending = 10_000
	}
	if c.RetryMin <= 0 {
		c.RetryMin = 500 * time.Millisecond
	}
	if c.RetryMax <= 0 {
		c.RetryMax = 30 * time.Second
	}
	if c.Hold <= 0 {
		c.Hold = 5 * time.Second
	}
	if c.Flush <= 0 {
		c.Flush = 15 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = 3 * time.Minute
	}
	return c
}

// Queue keeps facts until they are confirmed. It is safe for use by many
// goroutines.
type Queue struct {
	cfg     Config
	sender  Sender
	metrics *metrics
	log     zerolog.Logger
	work    workqueue.TypedRateLimitingInterface[types.UID]
	seed    maphash.Seed
	// judging has room for those who judge deletions at once: a quarter of the
	// workers, so that an API server which hangs holds back no status.
	judging chan struct{}

	mu      sync.Mutex
	entries map[types.UID]*entry
	// busy are the entries that have unconfirmed facts or wait to be judged;
	// pending counts the facts, phases those of them that are phases.
	busy            map[types.UID]*entry
	pending, phases int
	// came counts the facts that were kept.
	came uint64
	// refused counts facts that were refused for good, dropped phases that were
	// given up.
	refused, dropped int
	// topics is what the last answers say of where claims and phases go.
	topics topics
	// base is the watermark that was loaded: what it covers is published.
	base fact.Levels
	// back are the streams whose versions went back.
	back map[fact.Stream]wentBack
	// reached is up to where each stream was handed over.
	reached fact.Levels
	// lead is closed while this queue is to send, else open.
	lead  chan struct{}
	leads bool
	// attempted is when a worker last began or ended an attempt.
	attempted time.Time
	drained   chan struct{} // closed once busy is 0, nil while nobody asks
	room      *sync.Cond    // on mu: pending fell below the limit, or unlimited was set
	unlimited bool
	// flushing says that the process ends: nothing is held back any more.
	flushing bool
}

// New returns a queue that sends nothing before Run.
func New(cfg Config, sender Sender, reg prometheus.Registerer, log zerolog.Logger) *Queue {
	cfg = cfg.withDefaults()
	q := &Queue{
		cfg: cfg, sender: sender, log: log, metrics: newMetrics(reg),
		work: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](cfg.RetryMin, cfg.RetryMax)),
		seed: maphash.MakeSeed(), judging: make(chan struct{}, max(1, cfg.Workers/4)),
		entries: map[types.UID]*entry{}, busy: map[types.UID]*entry{},
		base: fact.Levels{}, back: map[fact.Stream]wentBack{}, reached: fact.Levels{},
		lead: make(chan struct{}), attempted: time.Now(),
	}
	if !cfg.Standby {
		q.Lead()
	}
	q.room = sync.NewCond(&q.mu)
	return q
}

// Unblock makes Seen and Also never block again. Call it when the process is to
// end: a watch can stop only once its handlers return.
func (q *Queue) Unblock() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unlimited = true
	q.room.Broadcast()
}

// await blocks while too many facts are unconfirmed.
func (q *Queue) await() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.pending >= q.cfg.MaxPending && !q.unlimited {
		q.room.Wait()
	}
}

// Seen takes what a live Job says; mark is its change. A Job that was taken for
// gone and is seen again is not gone: its label came back.
func (q *Queue) Seen(uid types.UID, facts []fact.Fact, mark fact.Mark) {
	q.await()
	q.offer(uid, func(e *entry) {
		e.live, e.judge = true, nil
		q.keep(e, facts, []fact.Mark{mark})
	})
}

// Also takes facts about a Job from elsewhere, which say nothing about whether
// the Job itself still lives. They follow from all the marked changes together.
func (q *Queue) Also(uid types.UID, facts []fact.Fact, marks ...fact.Mark) {
	if len(facts) > 0 {
		q.await()
		q.offer(uid, func(e *entry) { q.keep(e, facts, marks) })
	}
}

// Gone says that the Job is gone; judge, if any, finds out what that means.
// What is remembered of it is released once nothing is left to send.
func (q *Queue) Gone(uid types.UID, judge Judge, mark fact.Mark) {
	q.offer(uid, func(e *entry) {
		if q.base.Covers([]fact.Mark{mark}) {
			judge = nil // it was judged by whoever published up to there
		}
		e.live, e.judge, e.gone = false, judge, mark
		e.judgement++
	})
}

// offer edits an entry and queues its UID if there is anything to do. Workers
// use change instead: what they leave behind they queue with a delay.
func (q *Queue) offer(uid types.UID, edit func(*entry)) {
	if q.change(uid, edit) {
		q.work.Add(uid)
	}
}

// change edits an entry and reports whether it has anything to do.
func (q *Queue) change(uid types.UID, edit func(*entry)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.edit(uid, edit)
	q.shed()
	q.metrics.pending.Set(float64(q.pending))
	q.metrics.tracked.Set(float64(len(q.entries)))
	return q.busy[uid] != nil
}

// edit edits an entry and keeps the counts true; the lock is held.
func (q *Queue) edit(uid types.UID, edit func(*entry)) {
	e := q.entries[uid]
	if e == nil {
		e = &entry{}
		q.entries[uid] = e
	}
	wasBusy, had, phases := e.busy(), len(e.pending), e.phases
	edit(e)
	q.phases += e.phases - phases
	if q.pending += len(e.pending) - had; q.pending < q.cfg.MaxPending {
		q.room.Broadcast()
	}
	switch busy := e.busy(); {
	case busy && !wasBusy:
		q.busy[uid] = e
		e.since = time.Now()
	case !busy && wasBusy:
		delete(q.busy, uid)
	}
	if !e.busy() && !e.live {
		delete(q.entries, uid)
	}
	if len(q.busy) == 0 && q.drained != nil {
		close(q.drained)
		q.drained = nil
	}
}

// Pending is the number of unconfirmed facts.
func (q *Queue) Pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending
}

// Live is an error when facts wait and no worker has tried anything for longer
// than Config.Stall. A quiet queue is alive, and so is one that tries in vain:
// a restart would not mend Pub/Sub.
func (q *Queue) Live() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.busy) == 0 || !q.leads {
		return nil
	}
	since := time.Now()
	for _, e := range q.busy {
		if e.since.Before(since) {
			since = e.since
		}
	}
	if q.attempted.After(since) {
		since = q.attempted
	}
	if idle := time.Since(since); idle > q.cfg.Stall {
		return fmt.Errorf("%d facts wait and nothing was tried for %s", q.pending, idle.Round(time.Second))
	}
	return nil
}

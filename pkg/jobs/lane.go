package jobs

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// claimRoom is the part of a buffer, one in so many, that only claims may use:
// a flood of phases must not cost a job its end.
const claimRoom = 8

// lane is a bounded queue with one worker.
type lane struct {
	name  string
	queue chan event
	// phases is how many of the queue's places a phase may fill.
	phases int
	work   func(event)
	done   chan struct{}

	dropped atomic.Int64
	sent    prometheus.Counter
	drops   prometheus.Counter
	// log tells of one drop a minute: an outage would fill it.
	log zerolog.Logger
}

func newLane(name string, cfg Config, m *metrics, work func(event)) *lane {
	return &lane{
		name: name, queue: make(chan event, cfg.Buffer+max(1, cfg.Buffer/claimRoom)), phases: cfg.Buffer,
		work: work, done: make(chan struct{}),
		sent: m.events.WithLabelValues(name, outcomeSent), drops: m.events.WithLabelValues(name, outcomeDropped),
		log: cfg.Log.With().Str("path", name).Logger().Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute}),
	}
}

// offer queues an event if there is room. It is called by one goroutine at a
// time, so that a place that is free stays free.
func (l *lane) offer(e event) {
	limit := l.phases
	if e.claim() != nil {
		limit = cap(l.queue)
	}
	if len(l.queue) >= limit {
		l.drop(e, "the buffer is full")
		return
	}
	l.queue <- e
}

// drop counts an event that is lost on this path.
func (l *lane) drop(e event, why string) {
	l.dropped.Add(1)
	l.drops.Inc()
	l.log.Warn().Str("job_id", e.msg.GetJobId()).Str("event_id", e.msg.GetEventId()).Str("why", why).
		Int64("dropped", l.dropped.Load()).Msg("events about jobs are dropped; those of the next minute are only counted")
}

// run works until the queue is closed and empty.
func (l *lane) run() {
	defer close(l.done)
	for e := range l.queue {
		l.once(e)
	}
}

// once keeps a panic, of a writer say, from ending the product's process.
func (l *lane) once(e event) {
	defer func() {
		if r := recover(); r != nil {
			l.drop(e, fmt.Sprint("panic: ", r))
		}
	}()
	l.work(e)
}

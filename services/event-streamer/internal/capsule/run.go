package capsule

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// Run takes capsules until ctx ends; what is in hand then is finished and
// published within Config.Flush. It returns nil. A pool runs once.
func (p *Pool) Run(ctx context.Context) error {
	// What is taken must be published: the first half is for the one, the rest
	// for the other.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	send, stopSend := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSend()
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(p.cfg.Flush/2, stopWork)
		time.AfterFunc(p.cfg.Flush, stopSend)
	})()
	var workers, sender sync.WaitGroup
	for range p.cfg.Workers {
		workers.Go(func() { p.worker(ctx, work) })
	}
	sender.Go(func() { p.publish(send) })
	workers.Wait()
	close(p.taken)
	sender.Wait()
	if n := len(p.due); n > 0 {
		p.log.Info().Int("jobs", n).Msg("stopped before all capsules were taken; the next leader takes those of the last minute")
	}
	return nil
}

// worker serves Jobs until ctx ends; what it has in hand ends with work.
func (p *Pool) worker(ctx, work context.Context) {
	for {
		var uid types.UID
		select {
		case uid = <-p.due:
		case <-ctx.Done():
			return
		}
		p.metrics.waiting.Set(float64(len(p.due)))
		if !p.admit(ctx) {
			return
		}
		p.serve(work, uid)
	}
}

// admit waits until the pool leads; it is false once ctx is done.
func (p *Pool) admit(ctx context.Context) bool {
	p.mu.Lock()
	lead := p.lead
	p.mu.Unlock()
	select {
	case <-lead:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// serve takes what is due of a Job. A panic is caught: a pod that causes it would
// do so again after every restart.
func (p *Pool) serve(ctx context.Context, uid types.UID) {
	defer func() {
		if r := recover(); r != nil {
			p.metrics.result(resultFailed)
			p.release(uid)
			p.log.Error().Str("uid", string(uid)).Str("panic", fmt.Sprint(r)).Bytes("stack_trace", debug.Stack()).
				Msg("panic while taking a capsule; it is given up")
		}
	}()
	for f := p.next(uid); f != nil; f = p.next(uid) {
		p.capture(ctx, f)
	}
}

// release lets a Job be queued again.
func (p *Pool) release(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d, known := p.dossiers.Peek(uid); known {
		d.queued = false
	}
}

// next is the next failure of a Job whose capsule is to be taken, nil if there is
// none. What was seen long before this process began to lead is the former
// leader's.
func (p *Pool) next(uid types.UID) *failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, known := p.dossiers.Peek(uid)
	if !known {
		return nil // forgotten: ten thousand others have failed since
	}
	for {
		f := d.take()
		if f == nil {
			d.queued = false
			return nil
		}
		if p.since.Sub(f.seen) <= p.cfg.Handover {
			return f
		}
	}
}

// capture takes one capsule and hands it to be published. One that the end of
// the process cut short is left to the next leader, and one that comes too late
// must not stand in for the one that the former leader may have taken in time.
func (p *Pool) capture(ctx context.Context, f *failure) {
	began := time.Now()
	t, err := p.take(ctx, f)
	switch {
	case err != nil: // the watch has said what is wrong with the Job
		p.log.Debug().Err(err).Str("uid", string(f.job.UID)).Msg("no capsule of a Job that makes no facts")
		return
	case ctx.Err() != nil:
		p.metrics.result(resultUnsent)
		return
	case t.phase == nil:
		p.metrics.result(resultLate)
		return
	}
	p.metrics.seconds.Observe(time.Since(began).Seconds())
	select {
	case p.taken <- fact.From(&kube.Facts{Phases: []*resiliencyv1.PhaseEvent{t.phase}, TraceParent: f.job.TraceParent})[0]:
	case <-ctx.Done():
		p.metrics.result(resultUnsent)
	}
}

// inherited says that a pod failed before this process began to lead.
func (p *Pool) inherited(f *failure) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.at.Before(p.since)
}

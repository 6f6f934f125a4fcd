package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
)

// stuckAfter is how long messages may be in hand without one being finished
// before the process counts as stuck: well above what one message may take.
const stuckAfter = 5 * time.Minute

// progress knows whether work goes on: for the heartbeat and for /livez. A quiet
// process is not stuck, and neither is one that waits for Firestore.
type progress struct {
	now func() time.Time
	// waiting reports that work rightly stands still.
	waiting func() bool

	inHand atomic.Int64
	// moved is when a message was last finished, well or not, or was taken in
	// hand while there was none (Unix nanoseconds).
	moved atomic.Int64
	// done is when a message was last handled well; 0 before the first.
	done atomic.Int64

	mu sync.Mutex
	// open counts the messages in hand by their time of publication; oldest is
	// the age at which the oldest was finished since backlogAge was asked last.
	// Only first deliveries count: the third attempt of a message that nobody can
	// handle is late, but no sign of a backlog.
	open   map[time.Time]int
	oldest time.Duration
}

// track wraps a handler of messages.
func track[M proto.Message](p *progress, next messaging.Handler[M]) messaging.Handler[M] {
	return func(ctx context.Context, msg M, meta messaging.Meta) error {
		return p.during(&meta, func() error { return next(ctx, msg, meta) })
	}
}

// trackRaw wraps a handler of messages of any form.
func trackRaw(p *progress, next messaging.RawHandler) messaging.RawHandler {
	return func(ctx context.Context, msg messaging.RawMessage) error {
		return p.during(&msg.Meta, func() error { return next(ctx, msg) })
	}
}

func (p *progress) during(meta *messaging.Meta, work func() error) error {
	if meta.DeliveryAttempt <= 1 {
		p.begin(meta.PublishTime)
		defer p.end(meta.PublishTime)
	}
	if p.inHand.Add(1) == 1 {
		p.moved.Store(p.now().UnixNano())
	}
	defer func() {
		p.moved.Store(p.now().UnixNano())
		p.inHand.Add(-1)
	}()
	err := work()
	if err == nil {
		p.done.Store(p.now().UnixNano())
	}
	return err
}

func (p *progress) begin(published time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[time.Time]int{}
	}
	p.open[published]++
}

func (p *progress) end(published time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[published]--; p.open[published] == 0 {
		delete(p.open, published)
	}
	p.oldest = max(p.oldest, p.now().Sub(published))
}

// backlogAge is the age of the oldest message that was in hand since it was
// asked last, as far as this process can know: 0 when there was none.
func (p *progress) backlogAge() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := p.oldest
	p.oldest = 0
	for published := range p.open {
		age = max(age, p.now().Sub(published))
	}
	return age
}

// live is an error when messages are in hand and none has been finished for too long.
func (p *progress) live() error {
	inHand := p.inHand.Load()
	if inHand == 0 || p.waiting() {
		return nil
	}
	if still := p.now().Sub(time.Unix(0, p.moved.Load())); still > stuckAfter {
		return fmt.Errorf("%d messages in hand and none finished for %s", inHand, still.Round(time.Second))
	}
	return nil
}

// lastDone is when a message was last handled well; zero before the first.
func (p *progress) lastDone() time.Time {
	if at := p.done.Load(); at != 0 {
		return time.Unix(0, at).UTC()
	}
	return time.Time{}
}

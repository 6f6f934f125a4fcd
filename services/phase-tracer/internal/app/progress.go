package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
)

// stuckAfter is how long messages may be in hand without one being finished
// before the process counts as stuck: well above what one message may take.
const stuckAfter = 5 * time.Minute

// progress knows whether work goes on, for /livez. A quiet process is not stuck,
// and neither is one that waits for Firestore.
type progress struct {
	now func() time.Time
	// waiting reports that work rightly stands still.
	waiting func() bool

	inHand atomic.Int64
	// moved is when a message was last finished, well or not, or was taken in hand
	// while there was none (Unix nanoseconds).
	moved atomic.Int64
}

// track wraps a handler.
func track[M proto.Message](p *progress, next messaging.Handler[M]) messaging.Handler[M] {
	return func(ctx context.Context, msg M, meta messaging.Meta) error {
		if p.inHand.Add(1) == 1 {
			p.moved.Store(p.now().UnixNano())
		}
		defer func() {
			p.moved.Store(p.now().UnixNano())
			p.inHand.Add(-1)
		}()
		return next(ctx, msg, meta)
	}
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

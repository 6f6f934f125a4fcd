package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/envision/resiliency/pkg/resilience"
)

// session is one call of Run.
type session struct {
	// hard ends when work in hand has to stop: with the shutdown budget.
	hard context.Context //nolint:containedctx // lives exactly as long as Run
	// abandoned is closed when even handlers that ignore hard are given up.
	abandoned chan struct{}
	// inHand counts the messages that are not settled.
	inHand atomic.Int64
}

// Run receives until ctx ends, however often Pub/Sub is away in between, and
// returns when the work in hand is done or the shutdown budget is over: nil, or
// an error when Pub/Sub did not take the last acks in time. It is called once.
func (s *Subscriber) Run(ctx context.Context) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	run := &session{hard: hard, abandoned: make(chan struct{})}
	over := make(chan struct{})
	defer close(over)
	go s.enforceBudget(ctx, run, stop, over)

	defer s.setPulling(time.Time{})
	for {
		s.setPulling(time.Now())
		err := s.pull(ctx, run)
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = errors.New("the stream ended")
		}
		err = fmt.Errorf("receive from %s: %w", s.cfg.Subscription, outage(err))
		s.setError(err)
		s.metrics.receiveFailures.Inc()
		s.log.Error().Err(err).Dur("retry_in", s.cfg.RetryDelay).Msg("pull broke off")
		if !sleep(ctx, s.cfg.RetryDelay) {
			return nil
		}
	}
}

// enforceBudget gives work in hand its time after ctx ends, then cuts it off.
func (s *Subscriber) enforceBudget(ctx context.Context, run *session, stop context.CancelFunc, over <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-over:
		return
	}
	budget := time.NewTimer(s.cfg.ShutdownBudget)
	defer budget.Stop()
	select {
	case <-budget.C:
		stop()
	case <-over:
		return
	}
	grace := time.NewTimer(lateGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
		close(run.abandoned)
	case <-over:
	}
}

// pull is one Receive. At shutdown the client waits without limit for its
// callbacks, which we end ourselves, and for Pub/Sub to take the last acks; and
// while Pub/Sub is away it does not even stop. So without work in hand it gets
// flushGrace and is then left behind: the process is about to end.
func (s *Subscriber) pull(ctx context.Context, run *session) error {
	sub := s.client.Subscriber(s.cfg.Subscription)
	sub.ReceiveSettings = pubsub.ReceiveSettings{
		MaxExtension:               leaseTotal,
		MaxDurationPerAckExtension: leaseStep,
		MaxOutstandingMessages:     s.cfg.MaxOutstanding,
		MaxOutstandingBytes:        s.cfg.MaxOutstandingBytes,
		NumGoroutines:              1,
	}
	ended := make(chan error, 1)
	go func() {
		ended <- sub.Receive(ctx, func(ctx context.Context, m *pubsub.Message) { s.receive(ctx, run, m) })
	}()
	select {
	case err := <-ended:
		return err //nolint:wrapcheck // Run wraps it
	case <-ctx.Done():
		return s.awaitFlush(run, ended)
	}
}

func (s *Subscriber) awaitFlush(run *session, ended <-chan error) error {
	const tick = 50 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for idle := time.Duration(0); idle < flushGrace; {
		select {
		case <-ended: // an error of the stream is no news any more
			return nil
		case <-ticker.C:
			if idle += tick; run.inHand.Load() > 0 {
				idle = 0
			}
		}
	}
	return resilience.Dependency(Dependency, fmt.Errorf("stop receiving from %s: Pub/Sub did not take the last acks within %s",
		s.cfg.Subscription, flushGrace))
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

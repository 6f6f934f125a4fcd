package messaging

import (
	"context"
	"errors"
	"fmt"
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

// pull is one Receive. The client waits without limit for its callbacks and for
// the last acks to be sent: the callbacks we end ourselves, and while Pub/Sub
// does not answer we do not wait for the acks.
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
		return err
	case <-run.abandoned:
	}
	timer := time.NewTimer(flushGrace)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		return resilience.Dependency(dependency, fmt.Errorf("stop receiving from %s: Pub/Sub took no acks for %s after the budget",
			s.cfg.Subscription, flushGrace))
	}
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

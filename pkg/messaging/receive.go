package messaging

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// verdict is what becomes of a message, and why if it was not handled.
type verdict struct {
	outcome string
	err     error
}

// receive is the client's callback. pulled ends when the pull does: at the
// start of a shutdown, or when Pub/Sub breaks it off.
func (s *Subscriber) receive(pulled context.Context, run *session, m *pubsub.Message) {
	s.setError(nil)
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	run.inHand.Add(1)
	defer run.inHand.Add(-1)
	msg := s.raw(m)
	// Both this function and a handler that comes back too late may settle it.
	var once sync.Once
	settle := func(v verdict) { once.Do(func() { s.settle(pulled, m, msg, v) }) }

	done := make(chan struct{})
	go func() {
		defer close(done)
		// Stands if the handler ends its goroutine.
		defer settle(verdict{OutcomeNacked, errors.New("handler ended without a result")})
		settle(s.judge(pulled, run, msg))
	}()
	select {
	case <-done:
	case <-run.abandoned:
		settle(verdict{OutcomeNacked, errors.New("handler did not finish within the shutdown budget")})
	}
}

// judge has the message handled and applies the rule to the result.
func (s *Subscriber) judge(pulled context.Context, run *session, msg RawMessage) verdict {
	if target := msg.Attributes[topology.AttributeReplayTarget]; target != "" && target != s.cfg.Subscription && !s.readsLetters {
		return verdict{OutcomeNotForUs, fmt.Errorf("replay for %s", Cut(target, 256))}
	}
	err := s.handle(pulled, run, msg)
	if err == nil {
		return verdict{OutcomeAcked, nil}
	}
	if s.deadLetters == nil || !resilience.IsPermanent(err) && !s.spent(pulled, &msg) {
		return verdict{OutcomeNacked, err}
	}
	ctx, cancel := s.workContext(pulled, run)
	defer cancel()
	if moveErr := s.moveToDeadLetters(ctx, msg, err); moveErr != nil {
		return verdict{OutcomeNacked, errors.Join(err, moveErr)}
	}
	if _, ok := errors.AsType[undecodable](err); ok {
		return verdict{OutcomeUndecodable, err}
	}
	return verdict{OutcomeDeadLettered, err}
}

// spent reports whether this was the message's last attempt: nacked now, Pub/Sub
// would forward it without a reason. What is given back because the pull ended
// is not judged.
func (s *Subscriber) spent(pulled context.Context, msg *RawMessage) bool {
	most := int(s.maxAttempts.Load())
	return most > 0 && msg.DeliveryAttempt >= most && pulled.Err() == nil
}

// handle decodes the message and works on it until there is a result to judge.
// A dependency's fault is no such result while its gate is broken: the message
// waits for its turn and is tried again, in hand, its lease extended.
func (s *Subscriber) handle(pulled context.Context, run *session, msg RawMessage) error {
	do, err := s.decodeSafely(msg)
	if err != nil {
		return err
	}
	place := seat{all: s.seats}
	defer place.leave()
	for faults := 0; ; {
		if err := s.wait(pulled, s.cfg.Gate); err != nil {
			return err
		}
		err := s.once(pulled, run, msg.Span, do)
		if resilience.CategoryOf(err) != resilience.CategoryDependency {
			return err
		}
		gate, own := s.gateOf(err)
		switch {
		case gate == nil:
			return err
		case !gate.Broken():
			// The dependency works for others: perhaps it is this message.
			if faults++; faults >= s.cfg.InHand.Attempts || !sleep(pulled, s.cfg.InHand.Delay(faults-1)) {
				return err
			}
		case own:
			if !place.take() {
				return err
			}
			if err := s.wait(pulled, gate); err != nil {
				return err
			}
		}
	}
}

// wait returns nil when the message may be handled as far as the gate goes.
func (s *Subscriber) wait(pulled context.Context, gate Gate) error {
	if gate == nil {
		return nil
	}
	s.metrics.waiting.Inc()
	defer s.metrics.waiting.Dec()
	if err := gate.Wait(pulled); err != nil {
		return resilience.Retryable(fmt.Errorf("give back what waits for a dependency: %w", err))
	}
	return nil
}

func (s *Subscriber) decodeSafely(msg RawMessage) (do work, err error) {
	defer s.recoverTo(&err)
	if do, err = s.decode(msg, s); err != nil {
		return nil, undecodable{err}
	}
	return do, nil
}

// once calls the handler one time, within the trace that the message came with.
func (s *Subscriber) once(pulled context.Context, run *session, span trace.SpanContext, do work) (err error) {
	ctx, cancel := s.workContext(pulled, run)
	defer cancel()
	defer s.recoverTo(&err)
	start := time.Now()
	defer func() { s.metrics.handleSeconds.Observe(time.Since(start).Seconds()) }()
	return do(WithTrace(ctx, span))
}

// workContext outlives the pull, so that work in hand can finish at shutdown.
func (s *Subscriber) workContext(pulled context.Context, run *session) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(pulled), s.cfg.HandleTimeout)
	stop := context.AfterFunc(run.hard, cancel)
	return ctx, func() { stop(); cancel() }
}

// recoverTo makes a panic a retryable error: it may come from this release, and
// the next one may get the message right.
func (s *Subscriber) recoverTo(err *error) {
	if r := recover(); r != nil {
		*err = resilience.Retryable(fmt.Errorf("handler panicked: %v", r))
		s.log.Error().Str("panic", Cut(fmt.Sprint(r), MaxAttributeValue)).Str("stack", string(debug.Stack())).Msg("handler panicked")
	}
}

// settle tells Pub/Sub, the metrics and, unless all is well, the log, in the trace
// that the message came with.
func (s *Subscriber) settle(ctx context.Context, m *pubsub.Message, msg RawMessage, v verdict) {
	s.metrics.count(v.outcome)
	if v.outcome == OutcomeNacked {
		m.Nack()
	} else {
		m.Ack()
	}
	level := zerolog.ErrorLevel
	switch v.outcome {
	case OutcomeAcked:
		return
	case OutcomeNotForUs:
		level = zerolog.DebugLevel
	case OutcomeNacked:
		level = zerolog.WarnLevel
	}
	s.log.WithLevel(level).Ctx(WithTrace(ctx, msg.Span)).
		Func(func(e *zerolog.Event) { logAttributes(e, msg.Attributes) }).
		Func(func(e *zerolog.Event) { logCategory(e, v) }).
		Str("message_id", msg.MessageID).
		Int("delivery_attempt", msg.DeliveryAttempt).
		Str("outcome", v.outcome).
		Str("error", Cut(v.err.Error(), MaxAttributeValue)).
		Msg("message not handled")
}

func logCategory(e *zerolog.Event, v verdict) {
	if v.outcome != OutcomeNotForUs {
		e.Str("category", string(resilience.CategoryOf(v.err)))
	}
	if name := resilience.DependencyOf(v.err); name != "" {
		e.Str("dependency", name)
	}
}

// Package publish takes facts to Pub/Sub and logs those that arrived. It is the
// only part of the service that knows the publisher and its breaker; it keeps
// nothing: what is not confirmed comes back as an error.
package publish

import (
	"context"

	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// publisher sends messages to the topic of their type.
type publisher interface {
	PublishAsync(ctx context.Context, msg proto.Message) *messaging.Result
}

// breaker keeps callers from Pub/Sub while it is down.
type breaker interface {
	Wait(ctx context.Context) error
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Sender publishes facts. It is safe for use by many goroutines.
type Sender struct {
	publisher publisher
	breaker   breaker
	log       zerolog.Logger
}

// New returns a Sender.
func New(p publisher, b breaker, log zerolog.Logger) *Sender {
	return &Sender{publisher: p, breaker: b, log: log}
}

// Wait returns when Pub/Sub may be called; it fails only when ctx is done.
func (s *Sender) Wait(ctx context.Context) error {
	return s.breaker.Wait(ctx) //nolint:wrapcheck // says what was waited for
}

// Send publishes all facts at once, waits for every answer, and returns one
// outcome each.
func (s *Sender) Send(ctx context.Context, facts []fact.Fact) []error {
	errs := make([]error, len(facts))
	sent := false
	err := s.breaker.Do(ctx, func(ctx context.Context) error {
		sent = true
		return s.publish(ctx, facts, errs)
	})
	if !sent {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// publish fills errs and returns the error by which to judge Pub/Sub: its own
// failure before any other.
func (s *Sender) publish(ctx context.Context, facts []fact.Fact, errs []error) error {
	results := make([]*messaging.Result, len(facts))
	for i := range facts {
		results[i] = s.publisher.PublishAsync(ctx, facts[i].Message())
	}
	var failed error
	for i, r := range results {
		errs[i] = r.Get(ctx)
		if errs[i] == nil {
			s.confirmed(facts[i])
		} else if failed == nil || resilience.CategoryOf(errs[i]) == resilience.CategoryDependency {
			failed = errs[i]
		}
	}
	return failed
}

// confirmed logs a fact that Pub/Sub has. Statuses are few and what an operator
// looks for; phases are many and have a service of their own.
func (s *Sender) confirmed(f fact.Fact) {
	level, claim := zerolog.InfoLevel, "state"
	switch f.Kind() {
	case fact.KindPhase:
		level, claim = zerolog.DebugLevel, "phase"
	case fact.KindCause:
		claim = "cause"
	}
	s.log.WithLevel(level).Str("event_id", f.EventID()).Str("job_id", f.JobID()).Str("correlation_id", f.CorrelationID()).
		Int32("attempt", f.Attempt()).Str("kind", f.Kind()).Str(claim, f.Label()).
		Time("occurred_at", f.OccurredAt()).Msg("published")
}

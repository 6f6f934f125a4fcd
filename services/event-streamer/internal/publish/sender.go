// Package publish takes facts to Pub/Sub and logs those that arrived. It is the
// only part of the service that knows the publisher and its breaker; it keeps
// nothing: what is not confirmed comes back as an error.
package publish

import (
	"context"
	"fmt"
	"slices"

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
//
// Claims about status and phases go to topics of their own, and each has a
// breaker of its own: a topic of phases that is missing or forbidden must not
// hold back what is true of the jobs.
type Sender struct {
	publisher      publisher
	claims, phases breaker
	log            zerolog.Logger
}

// New returns a Sender with the breakers of the two topics.
func New(p publisher, claims, phases breaker, log zerolog.Logger) *Sender {
	return &Sender{publisher: p, claims: claims, phases: phases, log: log}
}

// Wait returns when the facts may be published; it fails only when ctx is done. Phases
// alone never wait: they would hold up a worker that claims need, or take the turn to
// find out whether claims can be published again.
func (s *Sender) Wait(ctx context.Context, facts []fact.Fact) error {
	if slices.ContainsFunc(facts, func(f fact.Fact) bool { return f.Kind() != fact.KindPhase }) {
		return s.claims.Wait(ctx) //nolint:wrapcheck // says what was waited for
	}
	return ctx.Err() //nolint:wrapcheck // that ctx is done
}

// Send publishes the claims at once and then the phases, waits for every answer,
// and returns one outcome each. That phases alone cannot be published is a
// retryable error: the caller then waits with this Job, and not with all.
func (s *Sender) Send(ctx context.Context, facts []fact.Fact) []error {
	errs := make([]error, len(facts))
	var claims, phases []int
	for i := range facts {
		if facts[i].Kind() == fact.KindPhase {
			phases = append(phases, i)
		} else {
			claims = append(claims, i)
		}
	}
	s.through(ctx, s.claims, facts, claims, errs)
	s.through(ctx, s.phases, facts, phases, errs)
	for _, i := range phases {
		if resilience.CategoryOf(errs[i]) == resilience.CategoryDependency {
			errs[i] = resilience.Retryable(fmt.Errorf("publish a phase: %w", errs[i]))
		}
	}
	return errs
}

// through publishes the facts of one topic through its breaker.
func (s *Sender) through(ctx context.Context, b breaker, facts []fact.Fact, which []int, errs []error) {
	if len(which) == 0 {
		return
	}
	sent := false
	err := b.Do(ctx, func(ctx context.Context) error {
		sent = true
		return s.publish(ctx, facts, which, errs)
	})
	if !sent {
		for _, i := range which {
			errs[i] = err
		}
	}
}

// publish fills errs and returns the error by which to judge Pub/Sub: its own
// failure before any other.
func (s *Sender) publish(ctx context.Context, facts []fact.Fact, which []int, errs []error) error {
	results := make([]*messaging.Result, len(which))
	for n, i := range which {
		results[n] = s.publisher.PublishAsync(traced(ctx, facts[i]), facts[i].Message())
	}
	var failed error
	for n, r := range results {
		i := which[n]
		errs[i] = r.Get(ctx)
		if errs[i] == nil {
			s.confirmed(facts[i])
		} else if failed == nil || resilience.CategoryOf(errs[i]) == resilience.CategoryDependency {
			failed = errs[i]
		}
	}
	return failed
}

// traced is ctx in the trace that the fact belongs to, if its Job names one.
func traced(ctx context.Context, f fact.Fact) context.Context {
	return messaging.WithTrace(ctx, messaging.Trace(map[string]string{messaging.AttributeTraceParent: f.TraceParent()}))
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

package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// ErrOpen is what Do returns, marked as a fault of the dependency, while the
// breaker does not let calls through.
var ErrOpen = errors.New("circuit breaker is open")

// BreakerConfig sets when a breaker opens and when it probes. Zero values take
// the defaults.
type BreakerConfig struct {
	// Failures is how many dependency failures in a row open the breaker; 5 by
	// default. Anything else that comes back is an answer and starts the count anew.
	Failures uint
	// OpenFor is how long it stays open before one probe may go through; 2 s by
	// default, varied by a fifth so that replicas do not probe in step.
	OpenFor time.Duration
	// CallTimeout bounds each call made with Do; 0 leaves that to the caller. A
	// dependency that hangs shows only by a timeout.
	CallTimeout time.Duration
	// ProbeAfter is how long nobody must have called before ProbeInSilence steps
	// in; 1 minute by default, which is longer than any caller pauses between tries.
	ProbeAfter time.Duration
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.OpenFor == 0 {
		c.OpenFor = 2 * time.Second
	}
	if c.ProbeAfter == 0 {
		c.ProbeAfter = time.Minute
	}
	return c
}

// State is what a breaker does with calls.
type State string

const (
	// StateClosed means that calls go through; all is well.
	StateClosed State = "closed"
	// StateHalfOpen means that one probe is on its way, other calls are refused.
	StateHalfOpen State = "half_open"
	// StateOpen means that calls are refused.
	StateOpen State = "open"
)

// Breaker stops calls to a dependency that is down. Only failures of category
// dependency count. It is safe for use by many goroutines.
type Breaker struct {
	name  string
	cfg   BreakerConfig
	cb    circuitbreaker.CircuitBreaker[any]
	gauge prometheus.Gauge
	log   zerolog.Logger

	// waiting counts who is in Wait.
	waiting atomic.Int64
	// called is when Do was last begun or ended, as the time since made.
	called atomic.Int64
	made   time.Time

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change of state
	// probeUntil is until when the caller that Wait admitted while the breaker
	// was not closed has the probe to itself.
	probeUntil time.Time
	// probed is when ProbeInSilence last stepped in.
	probed time.Time
}

// NewBreaker returns a closed breaker for the named dependency. Its state is
// the gauge resiliency_breaker_state{name}: 0 closed, 1 half open, 2 open.
func NewBreaker(name string, cfg BreakerConfig, reg prometheus.Registerer, log zerolog.Logger) *Breaker {
	b := &Breaker{
		name:    name,
		cfg:     cfg.withDefaults(),
		gauge:   breakerGauge(reg).WithLabelValues(name),
		log:     log.With().Str("dependency", name).Logger(),
		changed: make(chan struct{}),
		made:    time.Now(),
	}
	b.cb = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(b.cfg.Failures).
		WithSuccessThreshold(1).
		WithDelay(b.cfg.OpenFor).
		WithJitterFactor(0.2).
		OnStateChanged(b.onChange).
		Build()
	b.gauge.Set(0)
	return b
}

// Name is the name of the dependency.
func (b *Breaker) Name() string { return b.name }

// State is the present state.
func (b *Breaker) State() State { return stateOf(b.cb.State()) }

// Broken reports whether the dependency is taken to be down.
func (b *Breaker) Broken() bool { return !b.cb.IsClosed() }

// Ready is nil when calls go through; for a readiness check.
func (b *Breaker) Ready(context.Context) error {
	if b.Broken() {
		return fmt.Errorf("%s: %w", b.name, ErrOpen)
	}
	return nil
}

// Do calls fn unless the breaker is open, and learns from what it returns. An
// error that it takes for a fault of the dependency comes back marked so.
func (b *Breaker) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	b.noteCall()
	defer b.noteCall()
	return b.do(ctx, fn)
}

func (b *Breaker) noteCall() { b.called.Store(int64(time.Since(b.made))) }

func (b *Breaker) do(ctx context.Context, fn func(ctx context.Context) error) error {
	if !b.cb.TryAcquirePermit() {
		return Dependency(b.name, fmt.Errorf("%s: %w", b.name, ErrOpen))
	}
	returned := false
	defer func() {
		if !returned { // fn panicked
			b.recordNothing()
		}
	}()
	err := b.call(ctx, fn)
	returned = true
	switch {
	case Canceled(err):
		// The caller gave up, which says nothing about the dependency.
		b.recordNothing()
	case CategoryOf(err) == CategoryDependency:
		b.cb.RecordFailure()
		return Dependency(b.name, err)
	default:
		b.cb.RecordSuccess()
	}
	return err
}

func (b *Breaker) call(ctx context.Context, fn func(ctx context.Context) error) error {
	if b.cfg.CallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.cfg.CallTimeout)
		defer cancel()
	}
	return fn(ctx)
}

// recordNothing gives a probe's permit back. There is no neutral outcome for a
// probe, and one that proved nothing must not close the breaker.
func (b *Breaker) recordNothing() {
	if b.cb.IsHalfOpen() {
		b.cb.RecordFailure()
	}
}

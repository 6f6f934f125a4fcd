package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Wait returns nil when a call may be made: at once while the breaker is
// closed, else when its turn as the probe has come. Of many that wait, one at a
// time is let through, so an outage is not met by a crowd. It returns an error
// only when ctx is done.
func (b *Breaker) Wait(ctx context.Context) error {
	for {
		changed, delay := b.admit()
		if delay == 0 {
			return nil
		}
		b.waiting.Add(1)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			b.waiting.Add(-1)
			return fmt.Errorf("wait for %s: %w", b.name, ctx.Err())
		}
		b.waiting.Add(-1)
	}
}

// Awaited reports whether somebody is waiting in Wait for a turn.
func (b *Breaker) Awaited() bool { return b.waiting.Load() > 0 }

// admit returns 0 for "go ahead", else how long to wait at most before asking
// again, and a channel that is closed when the state changes before that.
func (b *Breaker) admit() (changed <-chan struct{}, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cb.IsClosed() {
		return nil, 0
	}
	delay = max(b.cb.RemainingDelay(), time.Until(b.probeUntil))
	if delay > 0 {
		return b.changed, delay
	}
	// An admitted caller need not make the call in the end: its turn runs out.
	b.probeUntil = time.Now().Add(b.probeTurn())
	return nil, 0
}

func (b *Breaker) probeTurn() time.Duration { return max(b.cfg.OpenFor, b.cfg.CallTimeout) }

// onChange runs without the lock of the library's breaker, so two changes may
// come here in any order: gauge and probe follow the state as it is now.
func (b *Breaker) onChange(event circuitbreaker.StateChangedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cb.State()
	b.probeUntil = time.Time{}
	if now == circuitbreaker.HalfOpenState {
		b.probeUntil = time.Now().Add(b.probeTurn())
	}
	b.gauge.Set(gaugeValue(now))
	close(b.changed)
	b.changed = make(chan struct{})

	level := zerolog.InfoLevel
	if event.NewState == circuitbreaker.OpenState {
		level = zerolog.WarnLevel
	}
	b.log.WithLevel(level).
		Str("from", string(stateOf(event.OldState))).
		Str("to", string(stateOf(event.NewState))).
		Msg("circuit breaker changed state")
}

func stateOf(s circuitbreaker.State) State {
	switch s {
	case circuitbreaker.OpenState:
		return StateOpen
	case circuitbreaker.HalfOpenState:
		return StateHalfOpen
	default:
		return StateClosed
	}
}

func gaugeValue(s circuitbreaker.State) float64 {
	switch s {
	case circuitbreaker.OpenState:
		return 2
	case circuitbreaker.HalfOpenState:
		return 1
	default:
		return 0
	}
}

// breakerGauge registers the gauge, or finds the one that another breaker of
// the process has registered. A nil registerer registers nothing.
func breakerGauge(reg prometheus.Registerer) *prometheus.GaugeVec {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "resiliency_breaker_state",
		Help: "State of the circuit breaker of a dependency: 0 closed, 1 half open, 2 open.",
	}, []string{"name"})
	if reg == nil {
		return gauge
	}
	if err := reg.Register(gauge); err != nil {
		registered, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
		if !ok {
			panic(err) // another metric has taken the name: a mistake in the program
		}
		return registered.ExistingCollector.(*prometheus.GaugeVec) //nolint:forcetypeassert // same descriptor
	}
	return gauge
}

package resilience_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/resilience"
)

// Nobody calls any more, as after a leader has stood down: the breaker closes by
// itself once the dependency is back, and not before.
func TestBreaker_ClosesWithoutCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := newBreaker(reg, zerolog.Nop())
		var healthy atomic.Bool
		var probes atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.ProbeInSilence(ctx, func(context.Context) error {
			probes.Add(1)
			if healthy.Load() {
				return nil
			}
			return errDown
		})
		time.Sleep(time.Hour)
		if n := probes.Load(); n != 0 {
			t.Errorf("%d probes while all is well", n)
		}
		for range 2 {
			healthy.Store(false)
			probes.Store(0)
			open(t, b)
			time.Sleep(59 * time.Second)
			if n := probes.Load(); n != 0 {
				t.Errorf("%d probes so soon after a call", n)
			}
			time.Sleep(time.Minute)
			if n := probes.Load(); n < 20 || n > 40 || !b.Broken() {
				t.Errorf("%d probes in a minute, want one about every %s; broken %v", n, openFor, b.Broken())
			}
			healthy.Store(true)
			time.Sleep(2 * openFor)
			if b.Broken() {
				t.Error("still open, though the dependency is back")
			}
			assertGauge(t, reg, 0)
		}
	})
}

// Whoever calls knows better than a probe, however rarely within ProbeAfter, and
// also while a call takes its time.
func TestBreaker_NoProbeBesideCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.ProbeInSilence(ctx, func(context.Context) error { t.Error("probed beside a caller"); return nil })
		open(t, b)
		for range 20 {
			time.Sleep(30 * time.Second)
			_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(45 * time.Second); return errDown })
		}
		if !b.Broken() {
			t.Error("closed, though every call fails")
		}
	})
}

// A turn that Wait gave and nobody used must not keep the probe away.
func TestBreaker_ProbesBesideWhoOnlyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.ProbeInSilence(ctx, fine)
		open(t, b)
		go func() {
			for b.Wait(ctx) == nil && b.Broken() {
				continue // has its turn and makes no call
			}
		}()
		time.Sleep(2 * time.Minute)
		if b.Broken() {
			t.Error("still open")
		}
	})
}

// A probe that hangs holds the turn for a moment only.
func TestBreaker_ProbeThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resilience.NewBreaker("x", resilience.BreakerConfig{Failures: 1, ProbeAfter: time.Second}, nil, zerolog.Nop())
		ctx, stop := context.WithCancel(t.Context())
		var begun, ended atomic.Int64
		b.ProbeInSilence(ctx, func(ctx context.Context) error {
			begun.Add(1)
			defer ended.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
		_ = b.Do(t.Context(), down)
		time.Sleep(time.Minute)
		if begun.Load() < 5 || !b.Broken() {
			t.Errorf("%d probes in a minute, broken %v", begun.Load(), b.Broken())
		}
		stop()
		synctest.Wait()
		if begun.Load() != ended.Load() {
			t.Error("a probe outlives its context")
		}
	})
}

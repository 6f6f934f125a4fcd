package resilience_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/resilience"
)

var errDown = status.Error(codes.Unavailable, "down")

// openFor is long enough for the jitter not to matter where tests add a second.
const openFor = 2 * time.Second

func newBreaker(reg prometheus.Registerer, log zerolog.Logger) *resilience.Breaker {
	return resilience.NewBreaker("firestore", resilience.BreakerConfig{Failures: 3, OpenFor: openFor}, reg, log)
}

func down(context.Context) error { return errDown }
func fine(context.Context) error { return nil }

func open(t *testing.T, b *resilience.Breaker) {
	t.Helper()
	for range 3 {
		if err := b.Do(t.Context(), down); resilience.CategoryOf(err) != resilience.CategoryDependency {
			t.Fatalf("Do = %v, want a dependency fault", err)
		}
	}
	if !b.Broken() || b.State() != resilience.StateOpen {
		t.Fatalf("state %s after three failures", b.State())
	}
}

func TestBreaker_OpensProbesCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		var lines bytes.Buffer
		b := newBreaker(reg, zerolog.New(&lines))
		open(t, b)
		assertGauge(t, reg, 2)

		err := b.Do(t.Context(), func(context.Context) error { t.Error("called while open"); return nil })
		if !errors.Is(err, resilience.ErrOpen) || resilience.DependencyOf(err) != "firestore" {
			t.Errorf("Do while open = %v", err)
		}
		if b.Ready(t.Context()) == nil {
			t.Error("ready while open")
		}

		start := time.Now()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatalf("wait: %v", err)
		}
		if waited := time.Since(start); waited < openFor*8/10 || waited > openFor*12/10 {
			t.Errorf("waited %s for the probe, want about %s", waited, openFor)
		}
		if err := b.Do(t.Context(), fine); err != nil {
			t.Fatalf("probe: %v", err)
		}
		if b.State() != resilience.StateClosed || b.Ready(t.Context()) != nil {
			t.Errorf("state %s after a good probe", b.State())
		}
		assertGauge(t, reg, 0)
		if got := strings.Count(lines.String(), "circuit breaker changed state"); got != 3 {
			t.Errorf("%d log lines, want 3 (open, half open, closed):\n%s", got, lines.String())
		}
	})
}

func TestBreaker_CountsOnlyDependencyFailures(t *testing.T) {
	t.Parallel()
	answers := map[string]error{
		"permanent": resilience.Permanent(errors.New("bad")),
		"retryable": errors.New("conflict"),
		"canceled":  resilience.Dependency("firestore", context.Canceled),
		"aborted":   status.Error(codes.Aborted, "contention"),
	}
	for name, answer := range answers {
		b := newBreaker(nil, zerolog.Nop())
		for range 10 {
			if err := b.Do(t.Context(), func(context.Context) error { return answer }); !errors.Is(err, answer) {
				t.Errorf("%s: Do = %v", name, err)
			}
		}
		if b.Broken() {
			t.Errorf("%s opened the breaker", name)
		}
	}
}

func TestBreaker_AnswerStartsTheCountAnew(t *testing.T) {
	t.Parallel()
	b := newBreaker(nil, zerolog.Nop())
	for range 5 {
		_ = b.Do(t.Context(), down)
		_ = b.Do(t.Context(), down)
		_ = b.Do(t.Context(), fine)
	}
	if b.Broken() {
		t.Error("opened without three failures in a row")
	}
}

func TestBreaker_CallTimeoutShowsAHangingDependency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resilience.NewBreaker("x", resilience.BreakerConfig{Failures: 1, CallTimeout: time.Second}, nil, zerolog.Nop())
		err := b.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if resilience.CategoryOf(err) != resilience.CategoryDependency || !b.Broken() {
			t.Errorf("Do = %v, broken %v", err, b.Broken())
		}
	})
}

func TestBreaker_WaitLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		open(t, b)
		var calls, through int
		var mu sync.Mutex
		healthy := false
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for {
					if err := b.Wait(t.Context()); err != nil {
						t.Errorf("wait: %v", err)
						return
					}
					err := b.Do(t.Context(), func(context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						calls++
						if !healthy {
							return errDown
						}
						through++
						return nil
					})
					if err == nil {
						return
					}
				}
			})
		}
		<-time.After(20 * time.Second) // of the bubble's clock: some eight to twelve probes
		mu.Lock()
		if calls < 6 || calls > 13 {
			t.Errorf("%d calls in 20 s with 50 waiting, want one probe about every 2 s", calls)
		}
		healthy = true
		mu.Unlock()
		wg.Wait()
		if through != 50 || b.Broken() {
			t.Errorf("%d went through, broken %v", through, b.Broken())
		}
	})
}

func TestBreaker_UnusedTurnRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		open(t, b)
		// The first that is admitted makes no call: the second must not wait for ever.
		for range 2 {
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Do(t.Context(), fine); err != nil || b.Broken() {
			t.Errorf("Do = %v, broken %v", err, b.Broken())
		}
	})
}

func TestBreaker_WaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		open(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestBreaker_Awaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(nil, zerolog.Nop())
		if err := b.Wait(t.Context()); err != nil || b.Awaited() {
			t.Errorf("a closed breaker: %v, awaited %v", err, b.Awaited())
		}
		open(t, b)
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		for _, end := range []func(){cancel, func() { time.Sleep(2 * openFor) }} {
			go func() { ended <- b.Wait(ctx) }()
			synctest.Wait()
			if !b.Awaited() {
				t.Error("somebody waits, and it is not told")
			}
			end()
			<-ended
			if b.Awaited() {
				t.Error("nobody waits, and it is not told")
			}
			ctx = t.Context()
		}
	})
}

func TestBreaker_ProbeThatProvesNothing(t *testing.T) {
	t.Parallel()
	probes := map[string]func(b *resilience.Breaker){
		"panic": func(b *resilience.Breaker) {
			defer func() { _ = recover() }()
			_ = b.Do(context.Background(), func(context.Context) error { panic("boom") })
		},
		"canceled": func(b *resilience.Breaker) {
			_ = b.Do(context.Background(), func(context.Context) error { return context.Canceled })
		},
	}
	for name, probe := range probes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(nil, zerolog.Nop())
				open(t, b)
				_ = b.Wait(t.Context())
				probe(b)
				if b.State() != resilience.StateOpen {
					t.Fatalf("state %s after a probe that proved nothing", b.State())
				}
				_ = b.Wait(t.Context())
				if err := b.Do(t.Context(), fine); err != nil || b.Broken() {
					t.Errorf("next probe: %v, broken %v", err, b.Broken())
				}
			})
		})
	}
}

func TestBreaker_ShareARegistry(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	for _, name := range []string{"firestore", "pubsub", "firestore"} {
		resilience.NewBreaker(name, resilience.BreakerConfig{}, reg, zerolog.Nop())
	}
	if n, err := testutil.GatherAndCount(reg, "resiliency_breaker_state"); n != 2 || err != nil {
		t.Errorf("%d series, %v; want 2", n, err)
	}
}

func assertGauge(t *testing.T, reg prometheus.Gatherer, want float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("gather: %v, %d families", err, len(families))
	}
	if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != want {
		t.Errorf("resiliency_breaker_state = %v, want %v", got, want)
	}
}

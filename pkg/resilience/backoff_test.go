package resilience_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

func TestBackoff_Delay(t *testing.T) {
	t.Parallel()
	b := resilience.Backoff{Initial: time.Second, Max: 20 * time.Second}
	want := []time.Duration{time.Second, 3 * time.Second, 9 * time.Second, 20 * time.Second, 20 * time.Second}
	for n, base := range want {
		for range 100 {
			if got := b.Delay(n); got < base*8/10 || got > base*12/10 {
				t.Fatalf("Delay(%d) = %s, want %s within a fifth", n, got, base)
			}
		}
	}
	if got := b.Delay(1_000_000); got > 24*time.Second {
		t.Errorf("Delay(1000000) = %s", got)
	}
	if got := (resilience.Backoff{}).Delay(0); got < 80*time.Millisecond || got > 120*time.Millisecond {
		t.Errorf("default first delay %s", got)
	}
}

func TestBackoff_Retry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resilience.Backoff{Initial: time.Second, Max: time.Minute}
		start, calls := time.Now(), 0
		err := b.Retry(t.Context(), func(context.Context) error {
			if calls++; calls < 4 {
				return errDown
			}
			return nil
		})
		if err != nil || calls != 4 {
			t.Errorf("Retry = %v after %d calls", err, calls)
		}
		if took := time.Since(start); took < 13*time.Second*8/10 || took > 13*time.Second*12/10 {
			t.Errorf("took %s, want 1+3+9 s within a fifth", took)
		}
	})
}

func TestBackoff_RetryStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resilience.Backoff{Initial: time.Second, Attempts: 3}
		calls := 0
		permanent := resilience.Permanent(errors.New("bad input"))
		err := b.Retry(t.Context(), func(context.Context) error { calls++; return permanent })
		if calls != 1 || err.Error() != "bad input" || !resilience.IsPermanent(err) {
			t.Errorf("permanent: %v after %d calls", err, calls)
		}

		calls = 0
		err = b.Retry(t.Context(), func(context.Context) error { calls++; return errDown })
		if calls != 3 || !errors.Is(err, errDown) || !strings.HasPrefix(err.Error(), "after 3 attempts: ") {
			t.Errorf("exhausted: %v after %d calls", err, calls)
		}
		if resilience.CategoryOf(err) != resilience.CategoryDependency {
			t.Errorf("the category got lost: %v", err)
		}
	})
}

func TestBackoff_RetryHonoursContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		b := resilience.Backoff{Initial: time.Minute, Max: time.Minute}
		if err := b.Retry(ctx, down); !errors.Is(err, errDown) {
			t.Errorf("Retry = %v, want the last error", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("returned after %s, want with the context", took)
		}
		if err := b.Retry(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Retry under a done context = %v", err)
		}
	})
}

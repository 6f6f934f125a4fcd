package resilience

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// backoffFactor is by how much each delay grows over the one before.
const backoffFactor = 3

// backoffJitter is by which part, up or down, each delay varies, so that those
// who failed together do not come back together.
const backoffJitter = 0.2

// Backoff is a retry policy: delays that triple up to a cap. Zero values take
// the defaults.
type Backoff struct {
	// Initial is the delay before the first retry; 100 ms by default.
	Initial time.Duration
	// Max caps the delays, before jitter; 10 s by default.
	Max time.Duration
	// Attempts is how often the thing is tried in all; 0 means until ctx is done.
	Attempts int
}

func (b Backoff) withDefaults() Backoff {
	if b.Initial <= 0 {
		b.Initial = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 10 * time.Second
	}
	return b
}

// Delay is how long to wait before retry n, the first being 0.
func (b Backoff) Delay(n int) time.Duration {
	b = b.withDefaults()
	delay := b.Initial
	for range n {
		if delay >= b.Max {
			break
		}
		delay *= backoffFactor
	}
	delay = min(delay, b.Max)
	return delay + time.Duration((rand.Float64()*2-1)*backoffJitter*float64(delay)) //nolint:gosec // no secret
}

// Retry calls fn until it returns nil, a permanent error, or the attempts or
// ctx are used up. It returns the last error of fn, with the number of attempts
// when there was more than one.
func (b Backoff) Retry(ctx context.Context, fn func(ctx context.Context) error) error {
	attempts := 0
	var last error
	policy := retrypolicy.NewBuilder[any]().
		WithMaxAttempts(b.maxAttempts()).
		WithDelayFunc(func(exec failsafe.ExecutionAttempt[any]) time.Duration { return b.Delay(exec.Retries()) }).
		AbortIf(func(_ any, err error) bool { return IsPermanent(err) }).
		ReturnLastFailure().
		Build()
	err := failsafe.With(policy).WithContext(ctx).Run(func() error {
		attempts++
		last = fn(ctx)
		return last
	})
	switch {
	case err == nil:
		return nil
	case last == nil: // ctx was done before the first call
		return err
	case attempts > 1:
		return fmt.Errorf("after %d attempts: %w", attempts, last)
	default:
		return last
	}
}

func (b Backoff) maxAttempts() int {
	if b.Attempts <= 0 {
		return -1
	}
	return b.Attempts
}

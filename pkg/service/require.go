package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// requireTry bounds one try of a start-up check.
	requireTry = 5 * time.Second
	// The pause between tries doubles from the first to the last of these.
	requireFirstPause = 100 * time.Millisecond
	requireLastPause  = 2 * time.Second
)

// RequireError says that a required dependency cannot be used.
type RequireError struct {
	// Name of the dependency.
	Name string
	// Remedy is a sentence that says what to do.
	Remedy string
	// Waited is how long it was tried.
	Waited time.Duration
	// Err is the error of the last try.
	Err error
}

// Error is two plain sentences: what is wrong and what to do.
func (e *RequireError) Error() string {
	msg := fmt.Sprintf("cannot start: %s is required but not usable after %s: %s.",
		e.Name, e.Waited.Round(time.Millisecond), strings.TrimSuffix(e.Err.Error(), "."))
	if e.Remedy != "" {
		msg += " " + e.Remedy
	}
	return msg
}

// Unwrap returns the error of the last try.
func (e *RequireError) Unwrap() error { return e.Err }

// Require checks a dependency that the service cannot work without, and tries
// again for the start-up budget, since at the start of a whole system
// dependencies come up in any order. It returns a *RequireError with the remedy,
// or the context's error when the process was told to end meanwhile.
func (rt *Runtime) Require(ctx context.Context, name, remedy string, check func(ctx context.Context) error) error {
	begun := time.Now()
	budget, cancel := context.WithTimeout(ctx, rt.startup)
	defer cancel()
	pause := requireFirstPause
	var last error
	for {
		err := try(budget, check)
		if err == nil {
			rt.Log.Debug().Str("dependency", name).Dur("waited_ms", time.Since(begun)).Msg("dependency is usable")
			return nil
		}
		// The first error of a try that was cut short is only the deadline's.
		if last == nil || budget.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		rt.Log.Warn().Str("dependency", name).Err(err).Msgf("waiting for %s", name)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-budget.Done():
			timer.Stop()
			if ctx.Err() != nil {
				return fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
			}
			return &RequireError{Name: name, Remedy: remedy, Waited: time.Since(begun), Err: last}
		}
		pause = min(2*pause, requireLastPause)
	}
}

// try runs a check once. A check that ignores its context is left behind: the
// process is about to end.
func try(ctx context.Context, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requireTry)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- protect(func() error { return check(ctx) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
}

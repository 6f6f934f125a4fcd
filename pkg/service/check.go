package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout bounds the checks of one request; probes give up sooner or later
// than that by their own setting.
const checkTimeout = 5 * time.Second

// checks is a list of named checks, run together for one request.
type checks struct {
	mu   sync.Mutex
	list []*check
}

type check struct {
	name string
	fn   func(context.Context) error
	busy atomic.Bool
}

// result is the outcome of one check, as /readyz and /livez show it.
type result struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Millis is how long the check took.
	Millis int64 `json:"ms"`
}

func (c *checks) add(name string, fn func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, &check{name: name, fn: fn})
}

// run runs all checks at the same time and returns their results in the order
// in which they were added.
func (c *checks) run(ctx context.Context) []result {
	c.mu.Lock()
	list := append([]*check(nil), c.list...)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := make([]result, len(list))
	var wg sync.WaitGroup
	for i, one := range list {
		wg.Go(func() { out[i] = one.run(ctx) })
	}
	wg.Wait()
	return out
}

// run never takes longer than ctx. A check that ignores its context is not
// started again before it has ended, or probes would pile it up.
func (c *check) run(ctx context.Context) result {
	begun := time.Now()
	err := c.call(ctx)
	r := result{Name: c.name, OK: err == nil, Millis: time.Since(begun).Milliseconds()}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (c *check) call(ctx context.Context) error {
	if !c.busy.CompareAndSwap(false, true) {
		return errors.New("the check before this one has not ended")
	}
	done := make(chan error, 1)
	go func() {
		err := protect(func() error { return c.fn(ctx) })
		c.busy.Store(false)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
}

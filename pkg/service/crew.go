package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// crew supervises the workers of a process. It differs from an errgroup in that
// it turns panics into errors and knows who is still at work, so that a
// shutdown that hangs can be told by name.
type crew struct {
	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // the workers' context, set once by begin
	fail    context.CancelCauseFunc
	working map[int]string
	next    int
	errs    []error
	idle    chan struct{}
	// begun tells that run has handed work to a worker, or has ended.
	begun bool
}

func newCrew() *crew {
	return &crew{working: map[int]string{}, idle: make(chan struct{})}
}

// begin starts the first worker, which may start others. The returned context
// ends when ctx ends or a worker fails.
func (c *crew) begin(ctx context.Context, name string, work func(context.Context) error) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.fail = context.WithCancelCause(ctx)
	c.launch(name, work)
	return c.ctx
}

// start adds a worker to those at work.
func (c *crew) start(name string, work func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.working) == 0 {
		panic(fmt.Sprintf("service: worker %s started outside run", name))
	}
	c.begun = true
	c.launch(name, work)
}

// launch is called with the lock held.
func (c *crew) launch(name string, work func(context.Context) error) {
	id := c.next
	c.next++
	c.working[id] = name
	go func() {
		c.done(id, protect(func() error { return work(c.ctx) }))
	}()
}

// done takes a worker from the list and ends the others if it failed.
func (c *crew) done(id int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	name := c.working[id]
	delete(c.working, id)
	echo := c.ctx.Err() != nil && isCanceled(err)
	if err != nil && !echo {
		err = fmt.Errorf("%s: %w", name, err)
		c.errs = append(c.errs, err)
		c.fail(err)
	}
	if len(c.working) == 0 {
		c.fail(nil)
		close(c.idle)
	}
}

// started tells whether the wiring is over.
func (c *crew) started() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// names returns who is still at work, sorted.
func (c *crew) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]string, 0, len(c.working))
	for _, name := range c.working {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// failures returns the errors of all workers that have ended.
func (c *crew) failures() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.errs)
}

// isCanceled tells whether an error is only the echo of a shutdown.
func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}

// PanicError is a panic that was caught.
type PanicError struct {
	// Value that was given to panic.
	Value any
	// Stack of the goroutine that panicked.
	Stack []byte
}

// Error tells the value; the stack is logged apart.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// protect calls fn and turns a panic into an error.
func protect(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn()
}

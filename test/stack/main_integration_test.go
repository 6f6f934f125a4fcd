//go:build integration

package stack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
)

// The stack of this package is not shared with other tests: these kill parts.
const (
	runDir   = "../../.run/test/stack"
	toolsDir = "../../.tools/bin"
)

// shared is the stack of this package's tests.
var shared *stack.Stack

func TestMain(m *testing.M) {
	mode := os.Getenv(serviceVar)
	switch filepath.Base(os.Args[0]) {
	case "status-updater", "event-streamer", "dlq-handler", "phase-tracer": // see programs
		mode = "good"
	}
	if mode != "" {
		os.Exit(playService(mode))
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	began := time.Now()
	s, err := stack.Start(ctx, stack.Options{Dir: runDir, ToolsDir: toolsDir, Out: os.Stderr})
	if err != nil {
		stop()
		return 1, fmt.Errorf("the stack cannot start, so no integration test can run: %w", err)
	}
	shared = s
	fmt.Printf("API server %s, stack started in %s\n", s.ServerVersion(), time.Since(began).Round(100*time.Millisecond))
	// A signal ends everything even while a test runs.
	ended := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, "interrupted:", s.Stop())
			os.Exit(130)
		case <-ended:
		}
	}()
	code = m.Run()
	close(ended)
	stop() // else its goroutine counts as left behind
	return code, errors.Join(s.Stop(), nothingLeft(s.Dir()))
}

// nothingLeft is the promise of Stop: no process, no goroutine, no trace of a
// running stack.
func nothingLeft(dir string) error {
	mark, err := proc.NewMark(dir)
	if err != nil {
		return err
	}
	pids, err := mark.Processes()
	if err == nil && len(pids) > 0 {
		err = fmt.Errorf("processes %v survived Stop", pids)
	}
	if _, statErr := os.Stat(stack.EnvPath(dir)); statErr == nil {
		err = errors.Join(err, errors.New("the env file survived Stop"))
	}
	if _, held, holderErr := proc.Holder(dir); held || holderErr != nil {
		err = errors.Join(err, fmt.Errorf("the run directory is still held: %v, %w", held, holderErr))
	}
	return errors.Join(err, goleak.Find(
		// Google's clients start it when they are loaded; it never ends.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		// Ends at its next tick, up to half a minute after its Receive.
		goleak.IgnoreTopFunction("cloud.google.com/go/pubsub/v2.(*messageIterator).streamKeepAliveHandler")))
}

//go:build integration

// Package e2e runs the services as the processes they are in production, on a
// real Kubernetes control plane and Google's emulators, and looks at what users
// can see: records, updates, dead letters, metrics, exit codes. Each test has a
// GCP project and a namespace of its own on one stack.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/test/stack"
)

// root is the repository as seen from this package's folder.
const root = "../.."

// shared is the one stack of all tests.
var shared *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop() // a second time in the usual course, which does nothing
	s, err := stack.Start(ctx, stack.Options{
		Dir:      filepath.Join(root, ".run", "test", "e2e"),
		ToolsDir: filepath.Join(root, ".tools", "bin"),
		Out:      os.Stderr,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "the stack cannot start, so no integration test can run: %v\n", err)
		return 1
	}
	shared = s
	fmt.Printf("API server version: %s\n", s.ServerVersion())
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the stack: %v\n", err)
		code = max(code, 1)
	}
	stop()
	if err := goleak.Find(
		// OpenCensus, which a client library imports, starts this one for good.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		// The Pub/Sub client ends this one up to 30 seconds after its stream.
		goleak.IgnoreTopFunction("cloud.google.com/go/pubsub/v2.(*messageIterator).streamKeepAliveHandler"),
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

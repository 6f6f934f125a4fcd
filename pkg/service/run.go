package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// The exit codes of a process.
const (
	exitOK            = 0
	exitFailed        = 1
	exitConfiguration = 2
)

// Spec says what a process is. Only Name is required.
type Spec struct {
	// Name of the service: its folder, Deployment, image and metric prefix.
	Name string
	// Description is shown by --help.
	Description string
	// LookupEnv reads the environment; nil means os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Stdout takes --help and --version; nil means os.Stdout.
	Stdout io.Writer
	// Stderr takes the log and configuration errors; nil means os.Stderr.
	Stderr io.Writer
}

// config is a pointer to C, which embeds Common.
type config[C any] interface {
	*C
	configuration
}

// Main runs a service and returns the code to exit with. run wires the service
// and either does its work itself or hands it to rt.Go and returns; the process
// ends when run and all workers have ended, at the first error or panic, or on
// SIGTERM or SIGINT. A second signal ends it at once.
func Main[C any, P config[C]](
	spec Spec, args []string, run func(ctx context.Context, rt *Runtime, cfg *C) error,
) int {
	return Run[C, P](context.Background(), spec, args, run)
}

// Run is Main for a caller that ends the process itself: the end of ctx counts
// as a signal. Tests use it to run a service in their own process.
func Run[C any, P config[C]](
	ctx context.Context, spec Spec, args []string, run func(ctx context.Context, rt *Runtime, cfg *C) error,
) int {
	spec = spec.withDefaults()
	cfg := new(C)
	err := loader{spec: spec}.load(P(cfg), args)
	var wrong *ConfigError
	switch {
	case errors.Is(err, errHandled):
		return exitOK
	case errors.As(err, &wrong):
		_, _ = fmt.Fprint(spec.Stderr, wrong.Error())
		return exitConfiguration
	case err != nil:
		_, _ = fmt.Fprintf(spec.Stderr, "%s: %v\n", spec.Name, err)
		return exitConfiguration
	}

	// Two places: the second signal must not be lost while the first is handled.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	common := P(cfg).common()
	log, err := newLogger(spec.Stderr, common, spec.Name)
	if err != nil {
		_, _ = fmt.Fprintf(spec.Stderr, "%s: %v\n", spec.Name, err)
		return exitConfiguration
	}
	rt := newRuntime(spec.Name, common, log)
	return rt.supervise(ctx, signals, func(ctx context.Context) error { return run(ctx, rt, cfg) })
}

func (s Spec) withDefaults() Spec {
	if s.LookupEnv == nil {
		s.LookupEnv = os.LookupEnv
	}
	if s.Stdout == nil {
		s.Stdout = os.Stdout
	}
	if s.Stderr == nil {
		s.Stderr = os.Stderr
	} else {
		s.Stderr = &lockedWriter{out: s.Stderr}
	}
	return s
}

// lockedWriter lets workers log to a plain buffer; a file needs no such help.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

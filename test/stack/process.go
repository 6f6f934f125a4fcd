package stack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/envision/resiliency/test/stack/proc"
)

// Process is a service that runs as a process of a project.
type Process struct {
	name     string
	project  *Project
	process  *proc.Process
	admin    string
	url      string
	notReady bool

	mu    sync.Mutex
	asked bool // the end of the current start was asked for
}

// Name is the service's name.
func (p *Process) Name() string { return p.name }

// PID is the process id of the last start.
func (p *Process) PID() int { return p.process.PID() }

// LogPath is its log, of all its starts.
func (p *Process) LogPath() string { return p.process.LogPath() }

// AdminURL is the base of its admin port, without a closing slash. It stays the
// same over restarts.
func (p *Process) AdminURL() string { return p.admin }

// URL is the base of its public API, "" for a service without one.
func (p *Process) URL() string { return p.url }

// Exited is closed when the current start has ended.
func (p *Process) Exited() <-chan struct{} { return p.process.Exited() }

// ExitCode is the code of the last end: -1 while it runs or after a signal.
func (p *Process) ExitCode() int { return p.process.ExitCode() }

// Running reports whether it runs; a paused one does.
func (p *Process) Running() bool { return p.process.Running() }

// Start starts it again after Kill, Stop or an end of its own, and waits until
// it is ready.
func (p *Process) Start(ctx context.Context) error {
	p.setAsked(false)
	if err := p.process.Start(); err != nil {
		return err
	}
	if p.notReady {
		return nil
	}
	return p.AwaitReady(ctx)
}

// Restart stops it politely and starts it again.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(ctx); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Kill ends it as a crash would (SIGKILL).
func (p *Process) Kill() error {
	p.setAsked(true)
	return p.process.Kill()
}

// Pause stops it where it stands (SIGSTOP).
func (p *Process) Pause() error { return p.process.Pause() }

// Resume lets a paused one go on.
func (p *Process) Resume() error { return p.process.Resume() }

// Signal sends any other signal.
func (p *Process) Signal(sig syscall.Signal) error { return p.process.Signal(sig) }

// Stop ends it politely (SIGTERM) and checks what Check checks, and that it
// ended with code 0. One that was ended by Kill or Stop is only checked; one
// that ended by itself is an error.
func (p *Process) Stop(ctx context.Context) error {
	if !p.process.Running() {
		return p.Check()
	}
	p.setAsked(true)
	if err := p.process.Terminate(ctx, stopBudget); err != nil {
		return errors.Join(err, proc.CheckLog(p.LogPath()))
	}
	if code := p.ExitCode(); code != 0 {
		return errors.Join(p.failure(fmt.Sprintf("ended with code %d after SIGTERM", code)), proc.CheckLog(p.LogPath()))
	}
	return p.Check()
}

// Check returns an error if the log holds a race report, or if the process has
// ended without being asked to.
func (p *Process) Check() error {
	var ended error
	if !p.process.Running() && !p.wasAsked() {
		ended = p.failure(fmt.Sprintf("ended by itself with code %d", p.ExitCode()))
	}
	return errors.Join(ended, proc.CheckLog(p.LogPath()))
}

// ExpectExit tells that the process may end by itself, so that Stop and Check
// do not count it as a failure; for tests of a wrong configuration.
func (p *Process) ExpectExit() { p.setAsked(true) }

// failure names the service and its log, with the last lines.
func (p *Process) failure(what string) error {
	return fmt.Errorf("service %s %s\nlog: %s, its last lines:\n%s", p.name, what, p.LogPath(), proc.Tail(p.LogPath(), 8))
}

func (p *Process) setAsked(asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = asked
}

func (p *Process) wasAsked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

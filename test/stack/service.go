package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/envision/resiliency/test/stack/proc"
)

// readyWithin bounds a service's start: the race detector makes it slow, and
// several tests may start theirs at once.
const readyWithin = 60 * time.Second

// ServiceSpec says how a service is started.
type ServiceSpec struct {
	// Name is the service's, or unique to the project when there are several of
	// one service. It names the log.
	Name string
	// Binary is the program.
	Binary string
	// Args are its arguments.
	Args []string
	// Env is added to the project's environment, "NAME=value"; it wins.
	Env []string
	// NotReady starts without waiting for readiness, for tests of what happens
	// while a dependency is missing.
	NotReady bool
}

// Process is a service that runs as a process of a project.
type Process struct {
	name     string
	project  *Project
	process  *proc.Process
	admin    string
	notReady bool

	mu    sync.Mutex
	asked bool // the end of the current start was asked for
}

// StartService starts a service with the project's environment and an admin
// port of its own, and waits until it is ready.
func (p *Project) StartService(ctx context.Context, spec ServiceSpec) (*Process, error) {
	port, err := p.stack.ports.next()
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(spec.Binary)
	if err != nil {
		return nil, fmt.Errorf("resolve binary %s: %w", spec.Binary, err)
	}
	env := append(append(p.Env(), "ADMIN_ADDR="+loopback(port)), spec.Env...)
	process := &Process{
		name: spec.Name, project: p, admin: "http://" + loopback(port), notReady: spec.NotReady,
		process: proc.New(proc.Spec{
			Name: p.processName(spec.Name), Path: binary, Args: spec.Args, Env: env, Dir: p.stack.dir,
		}, p.stack.mark, p.stack.spawner),
	}
	p.mu.Lock()
	p.processes = append(p.processes, process)
	p.mu.Unlock()
	if err := process.Start(ctx); err != nil {
		return nil, errors.Join(err, process.Kill())
	}
	return process, nil
}

// processName keeps the services of several projects apart; the one project of
// `make up` has the plain names.
func (p *Project) processName(service string) string {
	if p.ID == LocalProject {
		return service
	}
	return p.ID + "-" + service
}

// LocalProject is the project id of `make up`.
const LocalProject = "resiliency-local"

// Name is the service's name.
func (p *Process) Name() string { return p.name }

// PID is the process id of the last start.
func (p *Process) PID() int { return p.process.PID() }

// LogPath is its log, of all its starts.
func (p *Process) LogPath() string { return p.process.LogPath() }

// AdminURL is the base of its admin port, without a closing slash. It stays the
// same over restarts.
func (p *Process) AdminURL() string { return p.admin }

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

// AwaitReady waits until /readyz answers 200, for 60 s at most; an end of the
// process ends the wait.
func (p *Process) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		last := get(ctx, p.admin+"/readyz")
		if last == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.Exited():
			return p.failure(fmt.Sprintf("ended with code %d before it was ready", p.ExitCode()))
		case <-ctx.Done():
			return p.failure(fmt.Sprintf("is not ready: %v", last))
		}
	}
}

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

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

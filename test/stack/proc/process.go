package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrNotRunning answers an order to a process that has ended.
var ErrNotRunning = errors.New("process is not running")

// Spec says how a process is started.
type Spec struct {
	// Name is unique in the run directory; it names the log and the pid file.
	Name string
	// Path and Args are the program (absolute) and its arguments.
	Path string
	Args []string
	// Env is the whole environment, without the mark.
	Env []string
	// Dir is the working directory; empty means this process's.
	Dir string
	// Out is a file that takes standard output; empty means the log does.
	Out string
}

// Process is one program of a stack. It may be started again after it ended;
// its log file goes on. The methods may be called from several goroutines.
type Process struct {
	spec    Spec
	mark    Mark
	spawner *Spawner

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when the current start has ended
	err    error         // how it ended; read after exited is closed
	starts int
}

// New describes a process without starting it.
func New(spec Spec, mark Mark, spawner *Spawner) *Process {
	return &Process{spec: spec, mark: mark, spawner: spawner}
}

// Name is the name given in the spec.
func (p *Process) Name() string { return p.spec.Name }

// LogPath is the file that takes standard output and standard error, or the
// latter alone if the spec has another for the former.
func (p *Process) LogPath() string { return LogPath(p.mark.Dir(), p.spec.Name) }

// LogPath is where a run directory keeps the log of a process.
func LogPath(dir, name string) string { return filepath.Join(dir, "logs", name+".log") }

// PIDPath is where a run directory keeps the pid of a process.
func PIDPath(dir, name string) string { return filepath.Join(dir, "pids", name+".pid") }

// Start starts the process. It is an error if it runs already.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it runs already as process %d", p.spec.Name, p.cmd.Process.Pid)
	}
	log, err := openLog(p.LogPath())
	if err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	out := log
	if p.spec.Out != "" {
		if out, err = openLog(p.spec.Out); err != nil {
			return fmt.Errorf("start %s: %w", p.spec.Name, err)
		}
		defer func() { _ = out.Close() }()
	}
	cmd := exec.Command(p.spec.Path, p.spec.Args...)
	cmd.Stdout, cmd.Stderr = out, log
	cmd.Dir, cmd.Env = p.spec.Dir, append(append([]string{}, p.spec.Env...), p.mark.Env())
	if err := p.spawner.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.exited, p.err = cmd, make(chan struct{}), nil
	p.starts++
	go p.wait(cmd, p.exited)
	return WritePID(p.mark.Dir(), p.spec.Name, cmd.Process.Pid)
}

func (p *Process) wait(cmd *exec.Cmd, exited chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	_ = os.Remove(PIDPath(p.mark.Dir(), p.spec.Name))
	close(exited)
}

// running is called with the lock held.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Running reports whether the process runs (a paused one does).
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// PID is the process id of the last start, 0 before the first.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Exited is closed when the current start has ended. It must not be called
// before the first start.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// ExitCode is the code of the last end: -1 while it runs or when a signal ended it.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.ProcessState == nil || p.running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends sig to the whole process group.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("signal %v to %s: %w", sig, p.spec.Name, ErrNotRunning)
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v to %s: %w", sig, p.spec.Name, err)
	}
	return nil
}

// Kill ends the process by SIGKILL and waits for its end; one that has ended
// already is no error.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err == nil {
		<-p.Exited()
	}
	return err
}

// Pause stops the process where it stands (SIGSTOP), as a hung node would, and
// returns once every thread of it has stopped: until then it may still answer.
func (p *Process) Pause() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopWithin); !stopped(p.PID()); {
		if time.Now().After(deadline) {
			return fmt.Errorf("pause %s: not stopped within %s", p.spec.Name, stopWithin)
		}
		<-time.After(time.Millisecond)
	}
	return nil
}

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Terminate asks the process to end (SIGTERM, after a SIGCONT in case it is
// paused), waits within the budget, then kills it, which is an error.
func (p *Process) Terminate(ctx context.Context, budget time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); errors.Is(err, ErrNotRunning) {
		return nil
	} else if err != nil {
		return err
	}
	if err := p.Resume(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case <-p.Exited():
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; log: %s", p.spec.Name, budget, p.LogPath())
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return file, nil
}

// WritePID writes the pid file of a process in the run directory dir.
func WritePID(dir, name string, pid int) error {
	path := PIDPath(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create pid folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/envision/resiliency/test/stack/proc"
)

// Run is one start of a program that works and ends by itself, as a CronJob
// starts it.
type Run struct {
	*Process

	out string
}

// StartRun starts such a program with the project's environment, and an admin
// port and a log of its own. It does not wait; Wait does. One that has not ended
// when the project is closed is ended with it.
func (p *Project) StartRun(spec ServiceSpec) (*Run, error) {
	p.mu.Lock()
	p.runs++
	spec.Name = fmt.Sprintf("%s-run-%d", spec.Name, p.runs)
	p.mu.Unlock()
	spec.out = strings.TrimSuffix(proc.LogPath(p.stack.dir, p.processName(spec.Name)), ".log") + outSuffix
	process, err := p.newProcess(spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	process.ExpectExit()
	p.mu.Lock()
	p.processes = append(p.processes, process)
	p.mu.Unlock()
	if err := process.process.Start(); err != nil {
		return nil, err
	}
	return &Run{Process: process, out: spec.out}, nil
}

// outSuffix ends the name of a file that takes a run's standard output.
const outSuffix = ".out"

// Ended is what a run left.
type Ended struct {
	// ExitCode is -1 when a signal ended it.
	ExitCode int
	// Stdout is what it printed, Stderr its log.
	Stdout, Stderr string
}

// Wait waits for the end. A race report in the log is an error, and so is the end
// of ctx, with which the run is killed.
func (r *Run) Wait(ctx context.Context) (*Ended, error) {
	select {
	case <-r.Exited():
	case <-ctx.Done():
		return nil, errors.Join(r.failure(fmt.Sprintf("has not ended: %v", context.Cause(ctx))), r.Kill())
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	stdout, err := os.ReadFile(r.out)
	if err != nil {
		return nil, fmt.Errorf("read the output of %s: %w", r.Name(), err)
	}
	stderr, err := os.ReadFile(r.LogPath())
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", r.Name(), err)
	}
	return &Ended{ExitCode: r.ExitCode(), Stdout: string(stdout), Stderr: string(stderr)}, nil
}

// Line returns the last line of the log with this message.
func (e *Ended) Line(message string) (map[string]any, error) {
	var found map[string]any
	for text := range strings.Lines(e.Stderr) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["message"] == message {
			found = line
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no line of the log says %q", message)
	}
	return found, nil
}

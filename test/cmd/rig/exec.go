package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/envision/resiliency/test/stack"
)

// execCmd runs one program beside a stack without services, with all the
// variables of a project: the integration tests of pkg use it.
type execCmd struct {
	Dir     string   `default:".run/exec" help:"Run directory."`
	Tools   string   `default:".tools/bin" help:"Programs that make tools built."`
	In      string   `default:"." help:"Folder to run the program in."`
	Program []string `arg:"" passthrough:"" help:"Program and its arguments."`
}

// Run starts the stack, runs the program to its end and stops the stack. On a
// signal the program is told to end and gets five seconds.
func (c *execCmd) Run(ctx context.Context) (err error) {
	if c.Program[0] == "--" {
		c.Program = c.Program[1:]
	}
	s, err := stack.Start(ctx, stack.Options{Dir: c.Dir, ToolsDir: c.Tools, Out: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	project, err := s.NewProject(ctx, "exec")
	if err != nil {
		return err
	}
	program := exec.CommandContext(ctx, c.Program[0], c.Program[1:]...)
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.WaitDelay = 5 * time.Second
	program.Dir, program.Env = c.In, project.Env()
	program.Stdout, program.Stderr = os.Stdout, os.Stderr
	if err := program.Run(); err != nil {
		return fmt.Errorf("run %s: %w", c.Program[0], err)
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
	"github.com/envision/resiliency/test/stack/progress"
)

// daemonLog is the name of the log of the background process.
const daemonLog = "rig"

type upCmd struct {
	places
	Nodes int `default:"3" help:"Simulated nodes."`
}

// Run starts `rig serve` in the background and follows it until it is ready.
func (c *upCmd) Run(ctx context.Context) error {
	pid, running, err := proc.Holder(c.Dir)
	if err != nil {
		return err
	}
	if running {
		if _, err := os.Stat(stack.EnvPath(c.Dir)); err != nil {
			return fmt.Errorf("process %d uses %s but is not ready: it is starting or stopping; log: %s",
				pid, c.Dir, proc.LogPath(c.Dir, daemonLog))
		}
		fmt.Printf("already up (process %d)\n", pid)
		return c.next()
	}
	// Before anything is started: the background process would say it late.
	if err := stack.CheckBinaries(stack.Programs(c.Bin)); err != nil {
		return err
	}
	// A file of an earlier run must not look like readiness.
	if err := os.Remove(stack.EnvPath(c.Dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the earlier env file: %w", err)
	}
	daemon, err := c.launch()
	if err != nil {
		return err
	}
	out := progress.New(os.Stdout)
	err = out.Do(progress.Step{Name: "everything", Usual: 10 * time.Second}, func() error {
		return c.follow(ctx, daemon, out)
	})
	if err != nil {
		return err
	}
	if err := proc.WritePID(c.Dir, daemonLog, daemon.cmd.Process.Pid); err != nil {
		return err
	}
	return c.next()
}

// background is the running `rig serve`.
type background struct {
	cmd    *exec.Cmd
	exited chan error
	log    string
}

func (c *upCmd) launch() (*background, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the rig program: %w", err)
	}
	path := proc.LogPath(c.Dir, daemonLog)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	log, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	cmd := exec.Command(self, "serve", "--dir", c.Dir, "--tools", c.Tools, "--bin", c.Bin,
		"--filter", c.Filter, "--nodes", fmt.Sprint(c.Nodes))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // outlives this terminal
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s serve: %w", self, err)
	}
	b := &background{cmd: cmd, exited: make(chan error, 1), log: path}
	go func() { b.exited <- cmd.Wait() }()
	return b, nil
}

// follow shows what the background process prints until it is ready. When this
// command is interrupted it takes the background process along.
func (c *upCmd) follow(ctx context.Context, b *background, out *progress.Printer) error {
	log, err := os.Open(b.log)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer func() { _ = log.Close() }()
	lines := &follower{reader: bufio.NewReader(log), out: out}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			lines.copy()
			if _, err := os.Stat(stack.EnvPath(c.Dir)); err == nil {
				return nil
			}
		case <-b.exited:
			lines.copy()
			return fmt.Errorf("start did not succeed; log: %s", b.log)
		case <-ctx.Done():
			_ = b.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
			<-b.exited
			return errors.New("interrupted; everything was stopped")
		}
	}
}

// follower copies whole lines of a file that still grows.
type follower struct {
	reader *bufio.Reader
	part   strings.Builder
	out    *progress.Printer
}

func (f *follower) copy() {
	for {
		text, err := f.reader.ReadString('\n')
		f.part.WriteString(text)
		if errors.Is(err, io.EOF) || err != nil {
			return
		}
		f.out.Printf("%s", strings.TrimRight(f.part.String(), "\n"))
		f.part.Reset()
	}
}

// next tells what to do now.
func (c *upCmd) next() error {
	fmt.Printf(`
  . %s              the environment of the running system
  kubectl apply -f docs/examples/job.yaml   run a Job of your own
  make status                               what runs, and where
  make down                                 stop everything; logs stay in %s
`, stack.EnvPath(c.Dir), filepath.Join(c.Dir, "logs"))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
)

// downWithin is when a background process that does not end is killed.
const downWithin = 12 * time.Second

type downCmd struct {
	Dir string `default:".run" help:"Run directory."`
}

// Run ends the process that holds the run directory's lock, surely one of ours,
// and then whatever still carries the directory's mark.
func (c *downCmd) Run(ctx context.Context) error {
	pid, running, err := proc.Holder(c.Dir)
	if err != nil {
		return err
	}
	if running {
		err = c.end(ctx, pid)
	}
	mark, markErr := proc.NewMark(c.Dir)
	if markErr != nil {
		return errors.Join(err, markErr)
	}
	killed, sweepErr := mark.Sweep(5 * time.Second)
	removeErr := os.RemoveAll(stack.EnvPath(c.Dir))
	switch {
	case killed > 0:
		fmt.Printf("ended %d processes that a crash had left\n", killed)
	case running && err == nil:
		fmt.Println("stopped")
	case !running:
		fmt.Printf("nothing runs in %s\n", c.Dir)
	}
	return errors.Join(err, sweepErr, removeErr)
}

func (c *downCmd) end(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downWithin)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, running, err := proc.Holder(c.Dir); err != nil || !running {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
			return fmt.Errorf("process %d did not end within %s and was killed; log: %s",
				pid, downWithin, proc.LogPath(c.Dir, daemonLog))
		}
	}
}

package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/envision/resiliency/test/stack/proc"
)

// components are the cluster's daemons, in the order they need each other.
var components = []string{PartEtcd, PartAPIServer, PartControllerManager, PartScheduler, PartKwok}

// component is one daemon of the cluster. It is not our child: kwokctl started
// it and left, so it is known by its pid file and by the mark it carries.
type component struct {
	cluster *cluster
	name    string
}

func (c *component) Name() string { return c.name }

func (c *component) LogPath() string { return filepath.Join(c.cluster.home(), "logs", c.name+".log") }

func (c *component) pidPath() string { return filepath.Join(c.cluster.home(), "pids", c.name+".pid") }

func (c *component) pid() (int, error) {
	text, err := os.ReadFile(c.pidPath())
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w", c.name, proc.ErrNotRunning)
	}
	if err != nil {
		return 0, fmt.Errorf("read pid of %s: %w", c.name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read pid of %s: %w", c.name, err)
	}
	return pid, nil
}

func (c *component) signal(sig syscall.Signal) error {
	pid, err := c.pid()
	if err != nil {
		return err
	}
	ours, err := c.cluster.mark.Signal(pid, sig)
	if err == nil && !ours {
		return fmt.Errorf("%s: %w", c.name, proc.ErrNotRunning)
	}
	return err
}

func (c *component) Pause() error  { return c.signal(syscall.SIGSTOP) }
func (c *component) Resume() error { return c.signal(syscall.SIGCONT) }

func (c *component) Kill() error {
	pid, err := c.pid()
	if errors.Is(err, proc.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.cluster.mark.End(pid, 5*time.Second); err != nil {
		return fmt.Errorf("kill %s: %w", c.name, err)
	}
	// kwokctl takes a dead but unreaped process for a running one; without its
	// pid file it starts the component again.
	for _, path := range []string{c.pidPath(), proc.PIDPath(c.cluster.mark.Dir(), c.name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove pid file of %s: %w", c.name, err)
		}
	}
	return nil
}

// Restart starts every component that is down, since kwokctl knows no single
// one, and waits until the cluster answers.
func (c *component) Restart(ctx context.Context) error {
	if err := c.Kill(); err != nil {
		return err
	}
	if err := c.cluster.kwokctl(ctx, "start", "cluster", "--wait", "60s"); err != nil {
		return fmt.Errorf("restart %s: %w (log: %s)", c.name, err, c.LogPath())
	}
	return c.cluster.publish()
}

// publish shows the components' logs and pids where every other part has them.
func (c *cluster) publish() error {
	for _, name := range components {
		part := &component{cluster: c, name: name}
		link := proc.LogPath(c.mark.Dir(), name)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the earlier log of %s: %w", name, err)
		}
		if err := os.Symlink(part.LogPath(), link); err != nil {
			return fmt.Errorf("link the log of %s: %w", name, err)
		}
		pid, err := part.pid()
		if err != nil {
			return err
		}
		if err := proc.WritePID(c.mark.Dir(), name, pid); err != nil {
			return err
		}
	}
	return nil
}

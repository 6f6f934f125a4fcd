package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/envision/resiliency/test/stack/proc"
)

// emulatorImage is the gcloud CLI with its emulators, as Google publishes it.
const emulatorImage = "gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators"

// docker is a Docker engine that answers.
type docker struct{ path string }

// findDocker returns nil when there is no engine.
func findDocker(ctx context.Context) *docker {
	path, err := exec.LookPath("docker")
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, path, "version", "--format", "{{.Server.Version}}").Run(); err != nil {
		return nil
	}
	return &docker{path: path}
}

// run runs one short docker command; its output goes to the log and, on
// failure, into the error.
func (d *docker) run(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, d.path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// container is an emulator as a Docker container. The docker command that runs
// it in the foreground is our child and takes its log; the container itself
// belongs to the engine and is known by a name made from the run directory, so
// that a later run can remove what a crash left.
type container struct {
	dock *docker
	proc *proc.Process
	kind emulatorKind
	name string
	addr string
}

func newContainer(l *launcher, kind emulatorKind, port int) *container {
	sum := sha256.Sum256([]byte(l.stack.mark.Dir()))
	name := "resiliency-" + hex.EncodeToString(sum[:4]) + "-" + kind.part
	args := append([]string{
		"run", "--rm", "--name", name, "--publish", loopback(port) + ":8080", emulatorImage,
	}, kind.image...)
	spec := proc.Spec{Name: kind.part, Path: l.dock.path, Args: args, Env: os.Environ(), Dir: l.stack.mark.Dir()}
	return &container{
		dock: l.dock, proc: proc.New(spec, l.stack.mark, l.stack.spawner),
		kind: kind, name: name, addr: loopback(port),
	}
}

func (c *container) Name() string    { return c.kind.part }
func (c *container) LogPath() string { return c.proc.LogPath() }

// quick runs a command that must not hang the stop of a stack.
func (c *container) quick(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	return c.dock.run(ctx, append(args, c.name)...)
}

func (c *container) Pause() error  { return c.quick("pause") }
func (c *container) Resume() error { return c.quick("unpause") }

// Kill removes the container; one that does not exist is no error.
func (c *container) Kill() error {
	if err := c.quick("rm", "--force"); err != nil && !strings.Contains(err.Error(), "No such container") {
		return err
	}
	return c.proc.Kill()
}

func (c *container) Restart(ctx context.Context) error {
	if err := c.Kill(); err != nil {
		return err
	}
	if err := c.proc.Start(); err != nil {
		return err
	}
	// The first run pulls the image, which is more than a gigabyte.
	return awaitEmulator(ctx, c.kind, c.addr, 15*time.Minute, c.proc.Exited())
}

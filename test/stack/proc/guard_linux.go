package proc

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// guardScript waits for the end of its standard input, which comes when this
// process ends for whatever reason, SIGKILL and a test's time limit included,
// and then kills what carries the mark. Daemons that detached themselves (a
// kwokctl cluster) have no other tie to us.
const guardScript = `trap '' INT TERM HUP QUIT
read -r _
for dir in /proc/[0-9]*; do
  if tr '\0' '\n' <"$dir/environ" 2>/dev/null | grep -Fxq "$1"; then
    kill -KILL "${dir#/proc/}" 2>/dev/null
  fi
done
exit 0`

// Guard kills a run directory's processes when this process ends.
type Guard struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// StartGuard starts the guard of mark. It does not carry the mark itself.
func StartGuard(mark Mark) (*Guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "stack-guard", mark.Env())
	// Without the mark, whatever this process carries: it must outlive a sweep.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, markVar+"=") })
	// A group of its own, so that a terminal's Ctrl-C does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the guard process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard process: %w", err)
	}
	return &Guard{cmd: cmd, stdin: stdin}, nil
}

// Close lets the guard do its last sweep and waits for it.
func (g *Guard) Close() error {
	timer := time.AfterFunc(5*time.Second, func() { _ = g.cmd.Process.Kill() })
	defer timer.Stop()
	if err := g.stdin.Close(); err != nil {
		return fmt.Errorf("close the pipe to the guard process: %w", err)
	}
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("wait for the guard process: %w", err)
	}
	return nil
}

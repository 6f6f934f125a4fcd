package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// markVar is the environment variable that marks a process as one of a run
// directory. A process inherits it from the one that started it, so daemons
// that detach themselves carry it too.
const markVar = "RESILIENCY_STACK_DIR"

// Mark is the identity of one run directory's processes.
type Mark struct{ dir string }

// NewMark returns the mark of the run directory dir, which it makes absolute
// and free of symbolic links, so that every way to write it is one mark.
func NewMark(dir string) (Mark, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Mark{}, fmt.Errorf("resolve run directory %s: %w", dir, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	return Mark{dir: abs}, nil
}

// Dir is the run directory, absolute.
func (m Mark) Dir() string { return m.dir }

// Env is the entry for a child's environment, "NAME=value".
func (m Mark) Env() string { return markVar + "=" + m.dir }

// Owns reports whether the process is alive and surely ours: it carries this
// mark. A zombie is not alive, and another user's process is not ours.
func (m Mark) Owns(pid int) bool {
	if pid <= 1 || pid == os.Getpid() || !alive(pid) {
		return false
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if string(entry) == m.Env() {
			return true
		}
	}
	return false
}

// Processes lists the pids of all living processes that carry the mark, this
// process excepted.
func (m Mark) Processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && m.Owns(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Signal sends sig to pid if that process is ours, and says whether it was.
func (m Mark) Signal(pid int, sig syscall.Signal) (bool, error) {
	if !m.Owns(pid) {
		return false, nil
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return true, fmt.Errorf("signal %v to process %d: %w", sig, pid, err)
	}
	return true, nil
}

// Sweep kills every process that carries the mark and waits until they are
// gone; it returns how many there were.
func (m Mark) Sweep(within time.Duration) (int, error) {
	seen := map[int]bool{}
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := m.Processes()
		if err != nil || len(pids) == 0 {
			return len(seen), err
		}
		for _, pid := range pids {
			seen[pid] = true
			if _, err := m.Signal(pid, syscall.SIGKILL); err != nil {
				return len(seen), err
			}
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			return len(seen), fmt.Errorf("processes %v of %s survive SIGKILL after %s", pids, m.dir, within)
		}
	}
}

// End kills one process of ours and waits until it is gone; one that is not
// ours, or has ended, is left alone.
func (m Mark) End(pid int, within time.Duration) error {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ours, err := m.Signal(pid, syscall.SIGKILL); err != nil || !ours {
			return err
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			return fmt.Errorf("process %d survives SIGKILL after %s", pid, within)
		}
	}
}

// alive is false for a process that has ended but was not yet reaped: in many
// containers the first process reaps late or never.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the command name, which may itself hold spaces and ")".
	_, rest, ok := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	return ok && rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}

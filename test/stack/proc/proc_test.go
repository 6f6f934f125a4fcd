package proc_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/test/stack/proc"
)

// childVar makes this test binary play a child process.
const childVar = "PROC_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVar); role != "" {
		play(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// play is what children do: "wait" ends with SIGTERM's default, "deaf" ignores
// it, "parent" starts a process of its own through a spawner and a guard and
// waits to be killed, "lock" holds a lock.
func play(role string) {
	switch role {
	case "deaf":
		ignoreTerm()
	case "parent":
		parent()
	case "lock":
		if _, err := proc.Acquire(os.Args[1]); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("ready")
	<-time.After(time.Minute) // ends by itself should the test die
}

func newMark(t *testing.T) proc.Mark {
	t.Helper()
	mark, err := proc.NewMark(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

func newProcess(t *testing.T, role string) (*proc.Process, proc.Mark) {
	t.Helper()
	mark := newMark(t)
	spawner := proc.NewSpawner()
	t.Cleanup(spawner.Close)
	p := proc.New(proc.Spec{
		Name: role, Path: self(t), Args: []string{mark.Dir()}, Env: append(os.Environ(), childVar+"="+role),
	}, mark, spawner)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	awaitLog(t, p.LogPath(), "ready", 1)
	return p, mark
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func awaitLog(t *testing.T, path, text string, times int) {
	t.Helper()
	eventually(t, path+" holds "+text, func() bool {
		log, _ := os.ReadFile(path)
		return strings.Count(string(log), text) >= times
	})
}

func TestProcess_lives_and_dies(t *testing.T) {
	t.Parallel()
	p, mark := newProcess(t, "wait")
	pid := p.PID()
	text, err := os.ReadFile(proc.PIDPath(mark.Dir(), "wait"))
	if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(pid) {
		t.Errorf("pid file holds %q (%v), want %d", text, err, pid)
	}
	if !mark.Owns(pid) || !p.Running() {
		t.Error("the process does not count as ours and running")
	}
	if err := p.Start(); err == nil {
		t.Error("a second start while it runs is no error")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.Running() || mark.Owns(pid) || p.ExitCode() != -1 {
		t.Errorf("after Kill: running %v, owned %v, code %d", p.Running(), mark.Owns(pid), p.ExitCode())
	}
	eventually(t, "pid file is gone", func() bool {
		_, err := os.Stat(proc.PIDPath(mark.Dir(), "wait"))
		return errors.Is(err, os.ErrNotExist)
	})
	if err := errors.Join(p.Kill(), p.Terminate(t.Context(), time.Second)); err != nil {
		t.Errorf("ending what has ended: %v", err)
	}
	if err := p.Pause(); !errors.Is(err, proc.ErrNotRunning) {
		t.Errorf("pause of what has ended: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLog(t, p.LogPath(), "ready", 2) // the log goes on
}

func TestProcess_pauses_and_resumes(t *testing.T) {
	t.Parallel()
	p, _ := newProcess(t, "wait")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "process is stopped", func() bool { return state(t, p.PID()) == 'T' })
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "process goes on", func() bool { return state(t, p.PID()) == 'S' })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Terminate(t.Context(), 20*time.Second); err != nil {
		t.Errorf("SIGTERM to a paused process: %v", err)
	}
}

func state(t *testing.T, pid int) byte {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return stat[strings.LastIndexByte(string(stat), ')')+2]
}

func TestProcess_kills_what_does_not_end_in_time(t *testing.T) {
	t.Parallel()
	p, _ := newProcess(t, "deaf")
	if err := p.Terminate(t.Context(), 100*time.Millisecond); err == nil {
		t.Error("a process that ignores SIGTERM ended politely")
	}
	if p.Running() {
		t.Error("it still runs")
	}
}

func TestMark_never_touches_others(t *testing.T) {
	t.Parallel()
	p, _ := newProcess(t, "wait")
	other := newMark(t)
	// As a stale pid file would have it: the number is somebody else's by now.
	ours, err := other.Signal(p.PID(), syscall.SIGKILL)
	if ours || err != nil || !p.Running() {
		t.Errorf("another directory's mark: ours %v, %v, still running %v", ours, err, p.Running())
	}
	for _, pid := range []int{0, 1, -1, os.Getpid()} {
		if other.Owns(pid) {
			t.Errorf("pid %d counts as ours", pid)
		}
	}
	if n, err := other.Sweep(time.Second); n != 0 || err != nil {
		t.Errorf("sweep of an unused mark: %d, %v", n, err)
	}
}

func TestMark_sweeps_its_own(t *testing.T) {
	t.Parallel()
	p, mark := newProcess(t, "wait")
	if n, err := mark.Sweep(10 * time.Second); n != 1 || err != nil {
		t.Errorf("swept %d, %v, want 1", n, err)
	}
	<-p.Exited()
	if pids, err := mark.Processes(); len(pids) != 0 || err != nil {
		t.Errorf("left: %v, %v", pids, err)
	}
}

func TestMark_is_one_for_all_spellings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	a, errA := proc.NewMark(dir)
	b, errB := proc.NewMark(link + "/./")
	if err := errors.Join(errA, errB); err != nil || a.Env() != b.Env() {
		t.Errorf("marks %q and %q, %v", a.Env(), b.Env(), err)
	}
}

// A parent that is killed takes its children along: the spawner's at once, and
// by the guard also a daemon that detached itself.
func TestNothing_survives_a_killed_parent(t *testing.T) {
	t.Parallel()
	p, mark := newProcess(t, "parent")
	awaitLog(t, p.LogPath(), "guarded", 1)
	eventually(t, "parent, child and daemon run", func() bool {
		pids, err := mark.Processes()
		return err == nil && len(pids) == 3
	})
	// Only the parent, not its group.
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	eventually(t, "child and daemon are gone", func() bool {
		pids, err := mark.Processes()
		return err == nil && len(pids) == 0
	})
}

func parent() {
	mark, err := proc.NewMark(os.Args[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	path, _ := os.Executable()
	env := append(os.Environ(), childVar+"=wait")
	child := proc.New(proc.Spec{Name: "child", Path: path, Env: env}, mark, proc.NewSpawner())
	daemon := exec.Command(path)
	daemon.Env = append(slices.Clone(env), mark.Env())
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_, guardErr := proc.StartGuard(mark)
	if err := errors.Join(guardErr, child.Start(), daemon.Start()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("guarded")
}

func TestGuard_ends_when_asked(t *testing.T) {
	t.Parallel()
	p, mark := newProcess(t, "wait")
	guard, err := proc.StartGuard(mark)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Close(); err != nil {
		t.Fatal(err)
	}
	<-p.Exited() // its last sweep
}

func TestSpawner_takes_its_children_along(t *testing.T) {
	t.Parallel()
	mark := newMark(t)
	spawner := proc.NewSpawner()
	p := proc.New(proc.Spec{Name: "wait", Path: self(t), Env: append(os.Environ(), childVar+"=wait")}, mark, spawner)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	spawner.Close()
	<-p.Exited()
	if err := p.Start(); err == nil {
		t.Error("a start after Close is no error")
	}
}

func TestLock_is_for_one_process(t *testing.T) {
	t.Parallel()
	p, mark := newProcess(t, "lock")
	pid, held, err := proc.Holder(mark.Dir())
	if err != nil || !held || pid != p.PID() {
		t.Errorf("holder %d, %v, %v; want %d", pid, held, err, p.PID())
	}
	_, err = proc.Acquire(mark.Dir())
	if !errors.Is(err, proc.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(p.PID())) {
		t.Errorf("second lock: %v, want ErrInUse with the holder's pid", err)
	}
	if err := p.Kill(); err != nil { // as a crash: nobody releases
		t.Fatal(err)
	}
	if _, held, err := proc.Holder(mark.Dir()); held || err != nil {
		t.Errorf("lock of a dead process is held: %v, %v", held, err)
	}
	lock, err := proc.Acquire(mark.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if _, held, err := proc.Holder(filepath.Join(mark.Dir(), "none")); held || err != nil {
		t.Errorf("a folder that does not exist is in use: %v, %v", held, err)
	}
}

func TestCheckLog_finds_races(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat("x", 1<<20)
	if err := proc.CheckLog(write("clean", long+"\nend")); err != nil {
		t.Errorf("clean log: %v", err)
	}
	if err := proc.CheckLog(write("race", long+"\n==================\nWARNING: DATA RACE\n")); !errors.Is(err, proc.ErrRace) {
		t.Errorf("log with a race: %v", err)
	}
	if err := proc.CheckLog(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no log: %v", err)
	}
	if got := proc.Tail(write("tail", "1\n2\n3\n"), 2); got != "2\n3" {
		t.Errorf("tail %q, want the last two lines", got)
	}
}

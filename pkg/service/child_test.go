package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child is the service that runs in a process of its own when signals and the
// exit code are what is tested.
func child(mode string) int {
	return Main(Spec{Name: "child", LookupEnv: lookup(env())}, os.Args[1:],
		func(_ context.Context, rt *Runtime, _ *testConfig) error {
			rt.Go("worker", func(ctx context.Context) error {
				fmt.Println("working")
				<-ctx.Done()
				fmt.Println("told to stop")
				switch mode {
				case "stubborn":
					select {}
				case "fails":
					return errors.New("save watermark")
				default:
					return ctx.Err()
				}
			})
			return nil
		})
}

// process is a started child whose lines arrive on a channel.
type process struct {
	cmd   *exec.Cmd
	lines chan string
	log   *buffer
	done  chan error
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		w <- strings.TrimSpace(line)
	}
	return len(p), nil
}

func spawn(t *testing.T, mode string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{lines: make(chan string, 100), log: &buffer{}, done: make(chan error, 1)}
	p.cmd = exec.CommandContext(t.Context(), exe, args...)
	p.cmd.Env = append(os.Environ(), childMode+"="+mode)
	p.cmd.Stdout, p.cmd.Stderr = lineWriter(p.lines), p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *process) exit(t *testing.T, want int) {
	t.Helper()
	_ = receive(t, "end of the process", p.done)
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code = %d, want %d\n%s", got, want, p.log)
	}
}

func TestMain_signals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := spawn(t, "obedient")
			receive(t, "work", p.lines)
			p.signal(t, sig)
			p.exit(t, 0)
			find(t, p.log.String(), "shutting down")
		})
	}
}

func TestMain_second_signal_ends_at_once(t *testing.T) {
	t.Parallel()
	p := spawn(t, "stubborn")
	receive(t, "work", p.lines)
	begun := time.Now()
	p.signal(t, syscall.SIGTERM)
	if line := receive(t, "stop", p.lines); line != "told to stop" {
		t.Fatalf("line = %q", line)
	}
	p.signal(t, syscall.SIGTERM)
	p.exit(t, 1)
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("took %s, the budget is 10s", took)
	}
	find(t, p.log.String(), "still running: worker")
}

func TestMain_failed_shutdown(t *testing.T) {
	t.Parallel()
	p := spawn(t, "fails")
	receive(t, "work", p.lines)
	p.signal(t, syscall.SIGTERM)
	p.exit(t, 1)
	find(t, p.log.String(), "worker: save watermark")
}

func TestMain_exit_codes(t *testing.T) {
	t.Parallel()
	p := spawn(t, "obedient", "--version")
	p.exit(t, 0)
	if line := receive(t, "version", p.lines); !strings.HasPrefix(line, "child ") {
		t.Errorf("version = %q", line)
	}
	p = spawn(t, "obedient", "--bogus", "--shards=x")
	p.exit(t, 2)
	for _, want := range []string{"2 errors", "unknown flag --bogus", "--shards"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, p.log)
		}
	}
}

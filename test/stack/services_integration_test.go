//go:build integration

package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
)

// serviceVar makes this test binary play a service; its value is the mode.
const serviceVar = "STACK_TEST_SERVICE"

// playService is a service that is ready at once and ends on SIGTERM with 0;
// mode "race" reports a race first, "refuse" ends with 2 at once, "stubborn"
// ends with 1, "work" works and ends with 3. As the log witness it prints a line.
func playService(mode string) int {
	if mode == "work" {
		fmt.Println("result of", os.Args[1:])
		fmt.Fprintln(os.Stderr, `{"message":"worked","jobs":1}`+"\nnoise\n"+`{"message":"worked","jobs":2}`)
		return 3
	}
	if mode == "refuse" {
		fmt.Println("configuration: CLUSTER is missing")
		return 2
	}
	if mode == "race" {
		fmt.Println("WARNING: DATA RACE")
	}
	if os.Getenv("PUBLISH") == "log" {
		fmt.Println(`{"message":"witnessed","job_event":{"job_id":"j"}}`)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println("namespaces", os.Getenv("NAMESPACES"), "project", os.Getenv("GOOGLE_CLOUD_PROJECT"))
	fmt.Println("letters", os.Getenv("LETTERS_URL"))
	server := &http.Server{Addr: os.Getenv("ADMIN_ADDR"), ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.ListenAndServe() }()
	<-ctx.Done()
	if mode == "stubborn" {
		return 1
	}
	return 0
}

func service(t *testing.T, name, mode string) stack.ServiceSpec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return stack.ServiceSpec{Name: name, Binary: self, Env: []string{serviceVar + "=" + mode}}
}

func TestProject_runs_services(t *testing.T) {
	t.Parallel()
	project := newProject(t, "services")
	p, err := project.StartService(t.Context(), service(t, "svc", "good"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(p.LogPath())
	if want := fmt.Sprintf("namespaces %s=%s project %s", project.Namespace, project.Tenant, project.ID); err != nil || !strings.Contains(string(log), want) {
		t.Errorf("log %q (%v), want %q", log, err, want)
	}
	url, pid := p.AdminURL(), p.PID()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil || p.Running() {
		t.Errorf("after Kill: %v, running %v", err, p.Running())
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.AwaitReady(ctx); err == nil {
		t.Error("a paused service is ready")
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.AdminURL() != url || p.PID() == pid {
		t.Errorf("after restarts: URL %s, was %s; pid %d, was %d", p.AdminURL(), url, p.PID(), pid)
	}
	if err := errors.Join(p.Stop(t.Context()), p.Stop(t.Context())); err != nil || p.ExitCode() != 0 {
		t.Errorf("stop: %v, code %d", err, p.ExitCode())
	}
}

func TestProject_tells_of_services_that_misbehave(t *testing.T) {
	t.Parallel()
	project := newProject(t, "misbehave")
	refused, err := project.StartService(t.Context(), service(t, "refuse", "refuse"))
	if err == nil || !strings.Contains(err.Error(), "code 2") || !strings.Contains(err.Error(), "CLUSTER is missing") {
		t.Errorf("service %v that refuses to start: %v", refused, err)
	}
	start := func(mode string) *stack.Process {
		p, err := project.StartService(t.Context(), service(t, mode, mode))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	raced := start("race")
	if err := raced.Stop(t.Context()); !errors.Is(err, proc.ErrRace) {
		t.Errorf("service with a race: %v", err)
	}
	// The stack reports it again when it stops, as it should: not in this test.
	if err := os.Truncate(raced.LogPath(), 0); err != nil {
		t.Fatal(err)
	}
	if err := start("stubborn").Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "code 1") {
		t.Errorf("service that ends with 1: %v", err)
	}
	crashed := start("crash")
	if err := syscall.Kill(crashed.PID(), syscall.SIGKILL); err != nil { // not by the stack
		t.Fatal(err)
	}
	<-crashed.Exited()
	if err := crashed.Check(); err == nil || !strings.Contains(err.Error(), "by itself") {
		t.Errorf("service that died: %v", err)
	}
	crashed.ExpectExit()
	if err := crashed.Check(); err != nil {
		t.Errorf("service whose end was expected: %v", err)
	}
}

func TestProject_runs_a_program_to_its_end(t *testing.T) {
	t.Parallel()
	project := newProject(t, "runs")
	spec := service(t, "work", "work")
	spec.Args = []string{"plan"}
	run, err := project.StartRun(spec)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := run.Wait(t.Context())
	if err != nil || ended.ExitCode != 3 || ended.Stdout != "result of [plan]\n" {
		t.Fatalf("%+v, %v", ended, err)
	}
	if line, err := ended.Line("worked"); err != nil || line["jobs"] != 2.0 {
		t.Errorf("line %v, %v", line, err)
	}
	if _, err := ended.Line("rested"); err == nil {
		t.Error("a line that is not there was found")
	}
	// One that goes on is ended with its time, or with the project.
	long, err := project.StartRun(service(t, "work", "good"))
	if err != nil {
		t.Fatal(err)
	}
	if long.LogPath() == run.LogPath() {
		t.Error("two runs share a log")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := long.Wait(ctx); err == nil || !strings.Contains(err.Error(), "has not ended") || long.Running() {
		t.Errorf("%v, running %v", err, long.Running())
	}
	// A race report fails it, whatever its exit code.
	log, err := os.OpenFile(run.LogPath(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString("WARNING: DATA RACE\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); !errors.Is(err, proc.ErrRace) {
		t.Errorf("a run with a race: %v", err)
	}
	// The stack would report it again when it stops, as it should: not in this test.
	if err := errors.Join(log.Close(), os.Truncate(run.LogPath(), 0)); err != nil {
		t.Fatal(err)
	}
}

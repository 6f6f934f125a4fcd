package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// env is the environment of a process under test, on a free port.
func env(changes ...string) map[string]string {
	return good(append([]string{"ADMIN_ADDR", "127.0.0.1:0", "SHUTDOWN_BUDGET", "10s", "STARTUP_BUDGET", "10s"}, changes...)...)
}

// running is a service in the test's own process.
type running struct {
	log  *buffer
	code chan int
	stop context.CancelFunc
}

type runFunc = func(context.Context, *Runtime, *testConfig) error

func launch(t *testing.T, env map[string]string, run runFunc) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{log: &buffer{}, code: make(chan int, 1), stop: cancel}
	spec := Spec{Name: "tester", LookupEnv: lookup(env), Stdout: io.Discard, Stderr: r.log}
	go func() { r.code <- Run(ctx, spec, nil, run) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) wait(t *testing.T, want int) {
	t.Helper()
	if got := receive(t, "exit", r.code); got != want {
		t.Errorf("exit code = %d, want %d\n%s", got, want, r.log)
	}
}

// get reads one path of the admin server. It keeps no connection, so that no
// goroutine outlives the test.
func get(ctx context.Context, addr, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func probe(t *testing.T, rt *Runtime, path string, wantCode int) report {
	t.Helper()
	code, body, err := get(t.Context(), rt.AdminAddr(), path)
	if err != nil {
		t.Fatal(err)
	}
	var out report
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, body)
	}
	if code != wantCode {
		t.Errorf("%s = %d, want %d: %s", path, code, wantCode, body)
	}
	return out
}

func TestRun_ends_with_its_work(t *testing.T) {
	t.Parallel()
	var order []string
	r := launch(t, env(), func(_ context.Context, rt *Runtime, cfg *testConfig) error {
		rt.Defer("first", func() error { order = append(order, "first"); return nil })
		rt.Defer("second", func() error { order = append(order, "second"); return nil })
		rt.Go("worker", func(context.Context) error { order = append(order, "worker "+cfg.Cluster); return nil })
		return nil
	})
	r.wait(t, 0)
	if got := strings.Join(order, ", "); got != "worker c, second, first" {
		t.Errorf("order = %s", got)
	}
	if e := find(t, r.log.String(), "shutting down"); e["reason"] != "work is done" {
		t.Errorf("reason = %v, want that the work is done", e["reason"])
	}
	e := find(t, r.log.String(), "stopped")
	if e["severity"] != "INFO" || e["service"] != "tester" || e["version"] != buildVersion() || e["level"] != nil {
		t.Errorf("entry = %v", e)
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["timestamp"])); err != nil {
		t.Error(err)
	}
}

func TestRun_probes_and_metrics(t *testing.T) {
	t.Parallel()
	runtimes := make(chan *Runtime, 1)
	wired := make(chan struct{})
	sick := errors.New("no route")
	r := launch(t, env(), func(_ context.Context, rt *Runtime, _ *testConfig) error {
		rt.Ready("firestore", func(context.Context) error { return nil })
		rt.Ready("pubsub", func(context.Context) error { return sick })
		rt.Ready("broken", func(context.Context) error { panic("oops") })
		rt.Live("loop", func() error { return nil })
		runtimes <- rt
		<-wired
		rt.Go("worker", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		rt.Go("ready", func(context.Context) error { wired <- struct{}{}; return nil })
		return nil
	})
	rt := receive(t, "runtime", runtimes)
	if got := probe(t, rt, "/readyz", 503).Status; got != "starting" {
		t.Errorf("status while wiring = %s", got)
	}
	wired <- struct{}{}
	receive(t, "wiring", wired)
	got := probe(t, rt, "/readyz", 503)
	if got.Status != "failed" || len(got.Checks) != 3 || !got.Checks[0].OK ||
		got.Checks[1].Error != "no route" || got.Checks[2].Error != "panic: oops" {
		t.Errorf("readyz = %+v", got)
	}
	if got := probe(t, rt, "/livez", 200); got.Status != "ok" || got.Checks[0].Name != "loop" {
		t.Errorf("livez = %+v", got)
	}
	_, metrics, err := get(t.Context(), rt.AdminAddr(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go_goroutines", "process_resident_memory_bytes", `resiliency_build_info{service="tester"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	r.stop()
	r.wait(t, 0)
}

func TestRun_shutdown_is_not_ready_first(t *testing.T) {
	t.Parallel()
	runtimes := make(chan *Runtime, 1)
	during := make(chan report, 2)
	r := launch(t, env(), func(_ context.Context, rt *Runtime, _ *testConfig) error {
		rt.Go("worker", func(ctx context.Context) error {
			<-ctx.Done()
			during <- probe(t, rt, "/readyz", 503)
			during <- probe(t, rt, "/livez", 200)
			return fmt.Errorf("receive: %w", ctx.Err())
		})
		runtimes <- rt
		return nil
	})
	receive(t, "runtime", runtimes)
	r.stop()
	if got := receive(t, "readyz", during).Status; got != "stopping" {
		t.Errorf("readyz while stopping = %s", got)
	}
	if got := receive(t, "livez", during).Status; got != "ok" {
		t.Errorf("livez while stopping = %s", got)
	}
	r.wait(t, 0)
}

func TestRun_failures(t *testing.T) {
	t.Parallel()
	block := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	cases := []struct {
		name    string
		env     map[string]string
		run     runFunc
		message string
		field   string
	}{
		{
			name: "run_fails",
			run: func(_ context.Context, rt *Runtime, _ *testConfig) error {
				rt.Go("other", block)
				return errors.New("open table jobs")
			},
			message: "tester ends: run: open table jobs", field: "error",
		},
		{
			name: "worker_fails",
			run: func(_ context.Context, rt *Runtime, _ *testConfig) error {
				rt.Go("other", block)
				rt.Go("sweeper", func(context.Context) error { return errors.New("sweep outbox") })
				return nil
			},
			message: "tester ends: sweeper: sweep outbox", field: "error",
		},
		{
			name: "worker_panics",
			run: func(_ context.Context, rt *Runtime, _ *testConfig) error {
				rt.Go("sweeper", func(context.Context) error { panic("index out of range") })
				return nil
			},
			message: "sweeper: panic: index out of range", field: "stack_trace",
		},
		{
			name: "closer_panics",
			run: func(_ context.Context, rt *Runtime, _ *testConfig) error {
				rt.Defer("client", func() error { panic("closed twice") })
				return nil
			},
			message: "close client: panic: closed twice", field: "stack_trace",
		},
		{
			name: "cancelled_without_shutdown",
			run: func(context.Context, *Runtime, *testConfig) error {
				return fmt.Errorf("read: %w", context.Canceled)
			},
			message: "tester ends: run: read: context canceled", field: "error",
		},
		{
			name: "dependency_missing", env: env("STARTUP_BUDGET", "300ms"),
			run: func(ctx context.Context, rt *Runtime, _ *testConfig) error {
				return rt.Require(ctx, "firestore", "Set FIRESTORE_EMULATOR_HOST or grant roles/datastore.user.",
					func(context.Context) error { return errors.New("connection refused") })
			},
			message: "connection refused. Set FIRESTORE_EMULATOR_HOST or grant roles/datastore.user.", field: "dependency",
		},
		{
			name: "dependency_hangs", env: env("STARTUP_BUDGET", "100ms"),
			run: func(ctx context.Context, rt *Runtime, _ *testConfig) error {
				return rt.Require(ctx, "firestore", "", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			},
			message: "cannot start: firestore is required but not usable", field: "dependency",
		},
		{
			name: "hung_worker", env: env("SHUTDOWN_BUDGET", "50ms"),
			run: func(_ context.Context, rt *Runtime, _ *testConfig) error {
				rt.Go("stubborn", func(context.Context) error { <-t.Context().Done(); return nil })
				return errors.New("trouble")
			},
			message: "shutdown budget is over, still running: stubborn", field: "still_running",
		},
		{
			name: "port_taken", env: env("ADMIN_ADDR", "256.0.0.1:1"),
			run:     func(context.Context, *Runtime, *testConfig) error { return nil },
			message: "set ADMIN_ADDR to a free address", field: "error",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.env == nil {
				tc.env = env()
			}
			r := launch(t, tc.env, tc.run)
			r.wait(t, 1)
			e := find(t, r.log.String(), tc.message)
			if e["severity"] != "ERROR" || e[tc.field] == nil {
				t.Errorf("entry = %v", e)
			}
		})
	}
}

func TestRuntime_Require_tries_again(t *testing.T) {
	t.Parallel()
	tries := 0
	r := launch(t, env(), func(ctx context.Context, rt *Runtime, _ *testConfig) error {
		return rt.Require(ctx, "pubsub", "Start it.", func(context.Context) error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		})
	})
	r.wait(t, 0)
	if tries != 3 {
		t.Errorf("tries = %d, want 3", tries)
	}
}

func TestRun_signal_during_start_up_is_no_failure(t *testing.T) {
	t.Parallel()
	tried := make(chan struct{}, 100)
	r := launch(t, env(), func(ctx context.Context, rt *Runtime, _ *testConfig) error {
		return rt.Require(ctx, "pubsub", "", func(context.Context) error {
			tried <- struct{}{}
			return errors.New("not yet")
		})
	})
	receive(t, "try", tried)
	r.stop()
	r.wait(t, 0)
}

func TestRun_configuration_errors(t *testing.T) {
	t.Parallel()
	r := launch(t, map[string]string{"SHUTDOWN_BUDGET": "soon"}, func(context.Context, *Runtime, *testConfig) error {
		t.Error("run was called")
		return nil
	})
	r.wait(t, 2)
	for _, want := range []string{"the configuration has 4 errors", "SHUTDOWN_BUDGET", "CLUSTER", "NAMESPACES", "GOOGLE_CLOUD_PROJECT"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, r.log)
		}
	}
}

package service

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"
)

// supervise runs the service from the admin server's start to its end and
// returns the exit code.
func (rt *Runtime) supervise(ctx context.Context, signals <-chan os.Signal, run func(context.Context) error) int {
	begun := time.Now()
	if err := rt.admin.start(ctx); err != nil {
		rt.logFailure(err)
		return exitFailed
	}
	defer rt.admin.stop(context.WithoutCancel(ctx))
	rt.Log.Info().Str("admin_addr", rt.AdminAddr()).Str("go_version", runtime.Version()).
		Int("pid", os.Getpid()).Msg("starting")

	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	crewCtx := rt.crew.begin(work, "run", run)

	reason := "work is done"
	select {
	case <-rt.crew.idle:
	case s := <-signals:
		reason = "signal " + s.String()
	case <-ctx.Done():
		reason = "caller ended"
	case <-crewCtx.Done():
		// It ends with the last worker too, who need not have failed.
		if len(rt.crew.failures()) > 0 {
			reason = "a worker failed"
		}
	}
	code := rt.end(reason, cancel, signals)
	rt.Log.Info().Int("exit_code", code).Float64("uptime_seconds", time.Since(begun).Seconds()).Msg("stopped")
	return code
}

// end shuts down in order: not ready, so that nothing new arrives; workers told
// to end; waited for; resources closed. It returns the exit code.
func (rt *Runtime) end(reason string, cancel context.CancelFunc, signals <-chan os.Signal) int {
	rt.admin.stopping.Store(true)
	rt.Log.Info().Str("reason", reason).Float64("budget_seconds", rt.shutdown.Seconds()).Msg("shutting down")
	// Told before the others end: their errors are often but the echo of the first.
	told := rt.logFailures(0)
	cancel()
	closed := make(chan error, 1)
	go func() {
		<-rt.crew.idle
		closed <- rt.closeAll()
	}()
	budget := time.NewTimer(rt.shutdown)
	defer budget.Stop()
	select {
	case err := <-closed:
		told = rt.logFailures(told)
		if err != nil {
			rt.logFailure(err)
			return exitFailed
		}
	case <-budget.C:
		rt.logFailures(told)
		rt.logHung("shutdown budget is over")
		return exitFailed
	case s := <-signals:
		rt.logHung("second signal: " + s.String())
		return exitFailed
	}
	if told > 0 {
		return exitFailed
	}
	return exitOK
}

// logHung says what keeps the process from ending.
func (rt *Runtime) logHung(reason string) {
	names := rt.crew.names()
	if len(names) == 0 {
		names = []string{"closing of resources"}
	}
	rt.Log.Error().Strs("still_running", names).
		Msgf("%s, still running: %s; exiting without them", reason, strings.Join(names, ", "))
}

// logFailures logs the workers' errors from the nth on and returns how many
// there are in all.
func (rt *Runtime) logFailures(n int) int {
	errs := rt.crew.failures()
	for _, err := range errs[n:] {
		rt.logFailure(err)
	}
	return len(errs)
}

// logFailure writes the sentence that says why the process ends.
func (rt *Runtime) logFailure(err error) {
	entry := rt.Log.Error().Err(err)
	var panicked *PanicError
	if errors.As(err, &panicked) {
		entry = entry.Bytes("stack_trace", panicked.Stack)
	}
	var missing *RequireError
	if errors.As(err, &missing) {
		entry.Str("dependency", missing.Name).Msg(missing.Error())
		return
	}
	entry.Msgf("%s ends: %v", rt.name, err)
}

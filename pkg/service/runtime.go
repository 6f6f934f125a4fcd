package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
)

// Runtime is what the process gives to the service's run function.
type Runtime struct {
	// Log is the root logger; pass it on, with fields added.
	Log zerolog.Logger
	// Registry is served at /metrics; pass it on as a prometheus.Registerer.
	Registry *prometheus.Registry
	// Version of the build.
	Version string

	name     string
	startup  time.Duration
	shutdown time.Duration
	admin    *admin
	crew     *crew

	mu      sync.Mutex
	closers []closer
}

// closer is something to be closed once all workers have ended.
type closer struct {
	name string
	fn   func() error
}

func newRuntime(name string, c *Common, log zerolog.Logger) *Runtime {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "resiliency_build_info",
		Help: "Always 1; the labels tell which service runs in which version.",
	}, []string{"service", "version"})
	reg.MustRegister(info)
	info.WithLabelValues(name, buildVersion()).Set(1)
	crew := newCrew()
	return &Runtime{
		Log: log, Registry: reg, Version: buildVersion(),
		name: name, startup: c.StartupBudget, shutdown: c.ShutdownBudget,
		admin: newAdmin(c.AdminAddr, name, reg, log, crew.started),
		crew:  crew,
	}
}

// Ready adds a check to /readyz: is the dependency usable now? It must end when
// its context does, which is after 5 s. Until run has started its first worker
// or returned, /readyz says "starting".
func (rt *Runtime) Ready(name string, check func(context.Context) error) {
	rt.admin.ready.add(name, check)
}

// Live adds a check to /livez: does the process still make progress? It must
// not ask a dependency, or an outage would restart every replica.
func (rt *Runtime) Live(name string, check func() error) {
	rt.admin.live.add(name, func(context.Context) error { return check() })
}

// Go starts a worker. Its context ends when the process is to end; it then
// finishes or gives up what it has in hand, within the shutdown budget, and
// returns. Its error, or panic, ends the process; nil is a normal end. It is an
// error to start a worker once all others have ended.
func (rt *Runtime) Go(name string, work func(ctx context.Context) error) {
	rt.crew.start(name, work)
}

// Defer closes a resource after all workers have ended, the last first. Use it
// for what workers need to the end, such as clients.
func (rt *Runtime) Defer(name string, fn func() error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.closers = append(rt.closers, closer{name, fn})
}

// AdminAddr returns the address that the admin server listens on, as
// host:port, which tells the port when the configured one is 0.
func (rt *Runtime) AdminAddr() string { return rt.admin.addr() }

// ShutdownBudget is the time that work in hand has after a signal; a part that
// bounds its own shutdown must take less.
func (rt *Runtime) ShutdownBudget() time.Duration { return rt.shutdown }

// closeAll runs what Defer collected and returns all errors.
func (rt *Runtime) closeAll() error {
	rt.mu.Lock()
	closers := rt.closers
	rt.closers = nil
	rt.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		c := closers[i]
		if err := protect(c.fn); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// admin serves /livez, /readyz and /metrics from before the service's own work
// starts until after it has ended.
type admin struct {
	address string
	service string
	log     zerolog.Logger
	server  *http.Server
	// listener is set by start; served is closed when the server has ended.
	listener net.Listener
	served   chan struct{}

	ready, live checks
	// started tells whether the service's work has begun.
	started  func() bool
	stopping atomic.Bool
}

// report is the body of /livez and /readyz.
type report struct {
	Service string `json:"service"`
	Version string `json:"version"`
	// Status is ok, failed, starting or stopping.
	Status string   `json:"status"`
	Checks []result `json:"checks"`
}

func newAdmin(address, name string, reg *prometheus.Registry, log zerolog.Logger, started func() bool) *admin {
	a := &admin{
		address: address, service: name, log: log,
		started: started, served: make(chan struct{}),
	}
	r := chi.NewRouter()
	r.Get("/livez", a.handleLive)
	r.Get("/readyz", a.handleReady)
	r.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	a.server = &http.Server{
		Handler:           r,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	return a
}

// start listens and serves in the background.
func (a *admin) start(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.address)
	if err != nil {
		return fmt.Errorf("listen for probes and metrics: %w (set ADMIN_ADDR to a free address)", err)
	}
	a.listener = l
	go func() {
		defer close(a.served)
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error().Err(err).Msg("admin server ended")
		}
	}()
	return nil
}

// stop ends the server; a scrape in hand may finish within a second.
func (a *admin) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		_ = a.server.Close()
	}
	<-a.served
}

func (a *admin) addr() string {
	if a.listener == nil {
		return a.address
	}
	return a.listener.Addr().String()
}

// handleLive tells whether the process makes progress. It stays alive while it
// stops: a restart would only cut the work in hand.
func (a *admin) handleLive(w http.ResponseWriter, r *http.Request) {
	a.respond(w, "ok", a.live.run(r.Context()))
}

// handleReady tells whether the process can take work.
func (a *admin) handleReady(w http.ResponseWriter, r *http.Request) {
	switch {
	case a.stopping.Load():
		a.respond(w, "stopping", nil)
	case !a.started():
		a.respond(w, "starting", nil)
	default:
		a.respond(w, "ok", a.ready.run(r.Context()))
	}
}

// respond answers 200 when the status is ok and no check failed, else 503.
func (a *admin) respond(w http.ResponseWriter, status string, results []result) {
	code := http.StatusOK
	for _, r := range results {
		if !r.OK {
			status = "failed"
		}
	}
	if status != "ok" {
		code = http.StatusServiceUnavailable
	}
	if results == nil {
		results = []result{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	body := report{Service: a.service, Version: buildVersion(), Status: status, Checks: results}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.log.Debug().Err(err).Msg("probe went away before its answer")
	}
}

package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// WriteTimeout is how long the server waits for an answer: what comes later goes
// nowhere, so a handler that may have to wait gives up well before. One that streams
// sets its own write deadline with http.ResponseController.
const WriteTimeout = 30 * time.Second

// Other limits of the server.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	maxHeaderBytes    = 32 << 10
)

// idleTimeout is above the 600 s for which Google's external Application Load Balancer
// keeps connections to its backends, which nobody can change: were the server the first
// to close one, a request just sent on it would come back as 502. Source:
// cloud.google.com/load-balancing/docs/https#timeout-keepalive-backends.
const idleTimeout = 620 * time.Second

// Server serves a handler until its context ends, and then as long as the
// budget to whoever is being served.
type Server struct {
	server   *http.Server
	listener net.Listener
	address  string
	budget   time.Duration
	draining chan struct{}
	log      zerolog.Logger
}

type drainingKey struct{}

// NewServer returns a server that does not listen yet. budget is how long
// requests in hand may take to end, a part of the process's shutdown budget.
func NewServer(address string, handler http.Handler, budget time.Duration, log zerolog.Logger) *Server {
	s := &Server{address: address, budget: budget, draining: make(chan struct{}), log: log}
	base := context.WithValue(context.Background(), drainingKey{}, s.draining)
	s.server = &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	return s
}

// Listen takes the address, unless allowed refuses what it turned out to be.
func (s *Server) Listen(ctx context.Context, allowed func(net.Addr) error) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen for the public API: %w (set HTTP_ADDR to a free address)", err)
	}
	if err := allowed(l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	s.listener = l
	s.log.Info().Str("http_addr", l.Addr().String()).Msg("serving the public API")
	return nil
}

// Addr is the address that the server listens on, as host:port.
func (s *Server) Addr() string {
	if s.listener == nil {
		return s.address
	}
	return s.listener.Addr().String()
}

// Run serves until ctx ends and then finishes what is in hand. Listen comes
// before it. It returns an error when the server broke, or when requests
// outlived the budget and were cut off.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the public API: %w", err)
	case <-ctx.Done():
	}
	close(s.draining)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.budget)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("end the public API within %s: %w", s.budget, errors.Join(err, s.server.Close()))
	}
	<-served
	return err
}

// Draining is closed when the server is about to end: a handler that streams
// for as long as its client listens then comes to its end. nil, which is never
// closed, outside a Server.
func Draining(ctx context.Context) <-chan struct{} {
	ch, _ := ctx.Value(drainingKey{}).(chan struct{})
	return ch
}

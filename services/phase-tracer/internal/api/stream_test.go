package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// followed is a job that a test changes while callers follow it.
type followed struct {
	fakes

	mu      sync.Mutex
	version timeline.Version
	err     error
	// stuck is what the store needs until it is asked no longer, nil when it answers.
	stuck chan struct{}
}

// goesOn is a job of tenant video that is not over.
func goesOn() *followed {
	return &followed{version: timeline.Version{Tenant: "video", Found: true, Text: "1"}}
}

func (f *followed) Version(ctx context.Context, _ string) (timeline.Version, error) {
	f.mu.Lock()
	v, err, stuck := f.version, f.err, f.stuck
	f.mu.Unlock()
	if stuck != nil {
		select {
		case stuck <- struct{}{}:
		case <-ctx.Done():
		}
		<-ctx.Done()
		return timeline.Version{}, fmt.Errorf("look for news: %w", ctx.Err())
	}
	return v, err
}

func (f *followed) change(edit func(f *followed)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f)
}

func (f *followed) becomes(text string) { f.change(func(f *followed) { f.version.Text = text }) }

// handler is the API as a reader of tenant video meets it, behind all that a
// request passes.
func (f *followed) handler(t *testing.T, parts Parts) http.Handler {
	t.Helper()
	assets, err := web.NewAssets()
	if err != nil {
		t.Fatal(err)
	}
	parts.Jobs, parts.Finder, parts.Errors = f, f, web.NewErrors(nil, zerolog.Nop())
	router := web.NewRouter(parts.Errors, assets, prometheus.NewRegistry(), zerolog.Nop())
	router.Group(func(r chi.Router) {
		r.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				who := authn.Identity{Subject: "x", Read: authn.Tenants{Names: []string{"video"}}}
				next.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), who)))
			})
		})
		New(parts).Routes(r)
	})
	return router
}

// wire is a listener whose connections hold nothing back: who does not read stops
// who writes at once. All of it lives in a synctest bubble.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *wire) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *wire) Close() error {
	close(l.done)
	return nil
}

func (l *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// serve serves a handler within a synctest bubble and returns a client of it.
func serve(t *testing.T, handler http.Handler) *http.Client {
	t.Helper()
	l := &wire{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		theirs, ours := net.Pipe()
		select {
		case l.conns <- ours:
			return theirs, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &http.Client{Transport: transport}
}

// eventsURL is the stream of j-1 on a server.
func eventsURL(host string) string { return "http://" + host + "/api/jobs/j-1/events" }

// get asks for a stream; close leaves it.
func get(t *testing.T, client *http.Client, url string) (res *http.Response, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = client.Do(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, func() { cancel(); _ = res.Body.Close() }
}

// caller reads a stream event by event.
type caller struct {
	t     *testing.T
	lines *bufio.Reader
	leave func()
	// id is that of the last event that had one.
	id string
}

// follow opens a stream.
func follow(t *testing.T, client *http.Client, url string) *caller {
	t.Helper()
	res, leave := get(t, client, url) //nolint:bodyclose // the end of the test closes it
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("status %d, %s", res.StatusCode, kind)
	}
	return &caller{t: t, lines: bufio.NewReader(res.Body), leave: leave}
}

// next is the next event as "name version", ":" for a sign of life.
func (c *caller) next() (string, error) {
	c.t.Helper()
	var event string
	for {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			return event + line, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return event, nil
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			c.id = id
			continue
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var told struct{ Version string }
			if err := json.Unmarshal([]byte(data), &told); err != nil {
				c.t.Errorf("%q: %v", data, err)
			}
			line = " " + told.Version
		}
		event += strings.TrimPrefix(line, "event: ")
	}
}

func (c *caller) hears(want ...string) {
	c.t.Helper()
	for _, event := range want {
		if got, err := c.next(); got != event || err != nil {
			c.t.Fatalf("heard %q, %v; want %q", got, err, event)
		}
	}
}

// ends wants the end of the stream, as a client sees it that was not cut off.
func (c *caller) ends() {
	c.t.Helper()
	if got, err := c.next(); got != "" || !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.Errorf("heard %q, %v; want the end of the stream", got, err)
	}
}

package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/web"
)

const patience = 20 * time.Second

// serve runs a server and returns its URL, the way to end it, and its end.
func serve(t *testing.T, handler http.HandlerFunc, budget time.Duration) (string, context.CancelFunc, <-chan error) {
	t.Helper()
	s := web.NewServer("127.0.0.1:0", handler, budget, zerolog.Nop())
	if err := s.Listen(t.Context(), func(net.Addr) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return "http://" + s.Addr(), cancel, done
}

func wait[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

type result struct {
	body string
	err  error
}

func fetch(t *testing.T, url string) <-chan result {
	t.Helper()
	out := make(chan result, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		res, err := client.Get(url)
		if err != nil {
			out <- result{err: err}
			return
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		out <- result{string(body), err}
	}()
	return out
}

func TestServer_FinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}, 1), make(chan struct{})
	url, stop, done := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-web.Draining(r.Context())
		<-release
		_, _ = io.WriteString(w, "whole")
	}, patience)
	answer := fetch(t, url)
	wait(t, "the request", begun)
	stop()
	close(release)
	if got := wait(t, "the answer", answer); got.err != nil || got.body != "whole" {
		t.Errorf("got %+v", got)
	}
	if err := wait(t, "the end", done); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestServer_CutsOffWhatOutlivesTheBudget(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	url, stop, done := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}, 50*time.Millisecond)
	answer := fetch(t, url)
	wait(t, "the request", begun)
	stop()
	if err := wait(t, "the end", done); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run: %v", err)
	}
	if got := wait(t, "the answer", answer); got.err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestServer_Listen(t *testing.T) {
	t.Parallel()
	refused := errors.New("not here")
	s := web.NewServer("127.0.0.1:0", nil, time.Second, zerolog.Nop())
	if err := s.Listen(t.Context(), func(net.Addr) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s = web.NewServer(taken.Addr().String(), nil, time.Second, zerolog.Nop())
	if err := s.Listen(t.Context(), func(net.Addr) error { return nil }); err == nil || !strings.Contains(err.Error(), "HTTP_ADDR") {
		t.Errorf("error %v", err)
	}
	if s.Addr() != taken.Addr().String() {
		t.Errorf("address %s", s.Addr())
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := web.Config{Addr: ":8080", Rate: 1, Burst: 1}
	if err := good.Validate(); err != nil {
		t.Errorf("good: %v", err)
	}
	bad := web.Config{Addr: "nowhere", Rate: -1}
	err := bad.Validate()
	for _, want := range []string{"HTTP_ADDR", "HTTP_RATE", "HTTP_BURST"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
}

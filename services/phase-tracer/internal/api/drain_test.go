package api

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/web"
)

const (
	// budget is what a server of the tests has to end, and patience what bounds the
	// waiting of a test that fails.
	budget   = 5 * time.Second
	patience = 20 * time.Second
)

// await bounds a wait for what must come.
func await[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
	return v
}

// serveTCP serves a handler as the process does. stop tells it to end, and ended
// says how it did.
func serveTCP(t *testing.T, handler http.Handler) (address string, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	server := web.NewServer("127.0.0.1:0", handler, budget, zerolog.Nop())
	if err := server.Listen(t.Context(), func(net.Addr) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	return server.Addr(), stop, done
}

// A server that ends lets its streams come to their end, at once and without a word
// that the job is over; also those that just then wait for the store.
func TestEvents_EndWithTheServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		poll  time.Duration
		stuck chan struct{}
	}{
		{name: "between_two_looks", poll: time.Hour},
		{name: "looking_all_the_time", poll: time.Millisecond},
		{name: "while_the_store_is_silent", poll: time.Millisecond, stuck: make(chan struct{})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := goesOn()
			address, stop, ended := serveTCP(t, f.handler(t, Parts{Poll: c.poll}))
			defer stop()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			callers := make([]*caller, 3)
			for i := range callers {
				callers[i] = follow(t, &http.Client{Transport: transport}, eventsURL(address))
				callers[i].hears("change 1")
			}
			if c.stuck != nil {
				f.change(func(f *followed) { f.stuck = c.stuck })
				for range callers {
					await(t, "a look at the store", c.stuck)
				}
			}
			stop()
			for _, s := range callers {
				s.ends()
			}
			if err := await(t, "the end of the server", ended); err != nil {
				t.Error(err)
			}
		})
	}
}

package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A load balancer of Google's keeps idle connections for 600 s: a server that closes one
// before makes it answer 502 at times.
func TestServer_keeps_connections_longer_than_the_load_balancer(t *testing.T) {
	t.Parallel()
	s := NewServer("127.0.0.1:0", http.NotFoundHandler(), time.Second, zerolog.Nop())
	if got := s.server.IdleTimeout; got <= 600*time.Second {
		t.Errorf("idle connections are closed after %s, want more than 600 s", got)
	}
}

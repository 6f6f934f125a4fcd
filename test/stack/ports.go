package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the kernel's ephemeral range (32768 and up), so
// that no outgoing connection can take one between its choice and its use, nor
// while its process is down for a restart.
const (
	firstPort = 20000
	lastPort  = 30000
)

// ports hands out free loopback ports, each one once.
type ports struct {
	mu    sync.Mutex
	given map[int]bool
}

// next returns a port that nobody listens on now.
func (p *ports) next() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = map[int]bool{}
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if p.given[port] {
			continue
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		_ = listener.Close()
		p.given[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1 between %d and %d", firstPort, lastPort)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

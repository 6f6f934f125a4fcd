package proxy

import (
	"net"
	"sync"
)

// connections is a listener that knows what it accepted, so that it can cut it.
type connections struct {
	net.Listener

	mu   sync.Mutex
	open map[net.Conn]struct{}
	down bool
}

func track(listener net.Listener) *connections {
	return &connections{Listener: listener, open: map[net.Conn]struct{}{}}
}

// Accept gives the next connection; while cut, connections are closed at once.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		if c.down {
			c.mu.Unlock()
			reset(conn)
			continue
		}
		tracked := &connection{Conn: conn, owner: c}
		c.open[tracked] = struct{}{}
		c.mu.Unlock()
		return tracked, nil
	}
}

func (c *connections) cut() {
	c.mu.Lock()
	c.down = true
	conns := make([]net.Conn, 0, len(c.open))
	for conn := range c.open {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	for _, conn := range conns {
		reset(conn)
	}
}

func (c *connections) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}

// reset closes a connection with RST where that is possible: a peer that was
// closed in good order may believe that all was well.
func reset(conn net.Conn) {
	inner := conn
	if tracked, ok := conn.(*connection); ok {
		inner = tracked.Conn
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

type connection struct {
	net.Conn
	owner *connections
}

func (c *connection) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

package app

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
)

// collected are tests after which what they let go of is gone: client-go stops to
// watch a client's certificate when the client is collected, which a test that ends
// soon after leaves undone.
type collected struct{ *testing.M }

func (c collected) Run() int {
	code := c.M.Run()
	for range 2 { // what a cleanup lets go of goes with the next round
		runtime.GC()
	}
	return code
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(collected{m}, append(messagingtest.LeakOptions(),
		// The clients of Cloud Storage and Kubernetes leave idle connections that
		// nobody can close.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*http2ClientConn).readLoop"))...)
}

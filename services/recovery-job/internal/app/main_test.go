package app

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, append(messagingtest.LeakOptions(),
		// The clients of Cloud Storage and Kubernetes leave idle connections that
		// nobody can close.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*http2ClientConn).readLoop"))...)
}

package app

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, append(messagingtest.LeakOptions(),
		// Cloud Storage's client leaves an idle connection that nobody can close.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))...)
}

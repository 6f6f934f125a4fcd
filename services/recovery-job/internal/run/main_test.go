package run

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started by the init function of a library below Google's client.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

package messagingtest

import "go.uber.org/goleak"

// LeakOptions are the goroutines of Google's client that goleak must not count.
func LeakOptions() []goleak.Option {
	return []goleak.Option{
		// OpenCensus starts one worker for good.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		// Looks whether its stream has ended only at its next tick, every 10 s.
		goleak.IgnoreTopFunction("cloud.google.com/go/pubsub/v2.(*messageIterator).streamKeepAliveHandler"),
	}
}

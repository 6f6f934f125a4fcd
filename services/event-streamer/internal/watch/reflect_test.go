package watch

import (
	"context"
	"testing"
	"testing/synctest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// A watch that ends at once and without an error is listed anew, and counted.
func TestWatcher_watchEndsWithoutAWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c := newCluster(b)
		c.set("100", newJob("u-1", version("60")))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		(<-c.watches).Stop()
		<-c.watches // after a second list
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if n := b.count(t, "event_streamer_watch_errors_total", "other"); n != 1 {
			t.Errorf("%v broken watches counted, want 1", n)
		}
	})
}

// Whoever stops a watch before its end leaves nothing behind, even if an event waits.
func TestOverhear(t *testing.T) {
	t.Parallel()
	in, told := apiwatch.NewRaceFreeFake(), make(chan error, 2)
	out := overhear(in, func(err error) { told <- err })
	in.Add(newJob("u-1"))
	if e := <-out.ResultChan(); e.Type != apiwatch.Added {
		t.Errorf("got %v, want what was added", e)
	}
	in.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
	if err := <-told; err == nil {
		t.Error("told of no error")
	}
	out.Stop()
	out.Stop()
	for range out.ResultChan() {
	}
}

package watch

import (
	"context"
	"testing"
	"testing/synctest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
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

// Every list is asked for as it is now, and handed over with the watermark of before
// it was asked for: what a leader stores meanwhile may rightly be above it.
func TestWatcher_listsAreTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c := newCluster(b)
		var asked []string
		b.sink.store(fact.Levels{"jobs.ml": 90})
		b.api.PrependReactor("list", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
			asked = append(asked, a.(clienttesting.ListActionImpl).ListOptions.ResourceVersion) //nolint:forcetypeassert // a list
			b.sink.store(fact.Levels{"jobs.ml": 105})
			return false, nil, nil
		})
		c.set("100", newJob("u-1", version("60")))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		first := <-c.watches
		synctest.Wait()
		c.set("110", newJob("u-1", version("60")))
		first.Stop()
		<-c.watches // after a second list
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		same(t, "versions asked for", []string{"", ""}, asked)
		for _, want := range []string{
			"listing jobs.ml at 100, asked for when the watermark was at 90", "listing jobs.ml at 110, asked for when the watermark was at 105",
		} {
			if !b.sink.told(want) {
				t.Errorf("not told: %s, of %q", want, b.sink.progress)
			}
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

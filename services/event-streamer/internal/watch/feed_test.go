package watch

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func version(v string) func(*batchv1.Job) { return func(o *batchv1.Job) { o.ResourceVersion = v } }

func named(name string) func(*batchv1.Job) { return func(o *batchv1.Job) { o.Name = name } }

// cluster answers lists and watches of Jobs by hand.
type cluster struct {
	mu      sync.Mutex
	list    *batchv1.JobList
	watches chan *apiwatch.RaceFreeFakeWatcher
}

func (c *cluster) set(version string, jobs ...*batchv1.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = &batchv1.JobList{ListMeta: metav1.ListMeta{ResourceVersion: version}}
	for _, j := range jobs {
		c.list.Items = append(c.list.Items, *j)
	}
}

func newCluster(b *bench) *cluster {
	c := &cluster{watches: make(chan *apiwatch.RaceFreeFakeWatcher, 10)}
	b.api.PrependReactor("list", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return true, c.list.DeepCopy(), nil
	})
	b.api.PrependWatchReactor("jobs", func(clienttesting.Action) (bool, apiwatch.Interface, error) {
		w := apiwatch.NewRaceFreeFake()
		c.watches <- w
		return true, w, nil
	})
	return c
}

// The watch is lost for good (410): what happened meanwhile is told by a list.
// What it marks is everything since the last change seen.
func TestWatcher_watchExpires(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newCluster(b)
	c.set("100", newJob("u-1", version("60")), newJob("u-2", named("eval"), version("70")), newJob("u-3", named("old"), version("80")))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	w := <-c.watches
	w.Modify(newJob("u-1", running, version("110")))
	b.sink.until(t, "the change was read", func() bool { return slices.Contains(b.sink.labels("u-1"), "status RUNNING") })
	c.set("200",
		newJob("u-1", running, holds(batchv1.JobComplete, ""), version("150")),
		newJob("u-2b", named("eval"), version("190")), newJob("u-3", named("old"), version("80")))
	w.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
	b.sink.until(t, "the list was read", func() bool { return b.sink.told("reached jobs.ml at 200") })
	<-c.watches
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, "event_streamer_watch_errors_total", "expired"); n != 1 {
		t.Errorf("%v expired watches counted, want 1", n)
	}
	same(t, "said of the ended one", []string{"status PENDING", "status RUNNING", "status SUCCEEDED"}, b.sink.labels("u-1"))
	same(t, "said of the new life", []string{"status PENDING"}, b.sink.labels("u-2b"))
	if _, err := b.sink.judged(t, "u-2"); err != nil {
		t.Error(err)
	}
	mark := func(from, to uint64) fact.Mark { return fact.Mark{Stream: "jobs.ml", From: from, To: to} }
	want := map[string][]fact.Mark{
		"u-1": {mark(1, 60), mark(110, 110), mark(111, 150)}, "u-2": {mark(1, 70), mark(111, 190)},
		"u-2b": {mark(111, 190)}, "u-3": {mark(1, 80)}, // the last did not change: nothing is said twice
	}
	got := map[string][]fact.Mark{}
	for uid, marks := range b.sink.marks {
		got[string(uid)] = marks
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	progress := slices.DeleteFunc(b.sink.progress, func(s string) bool { return !strings.Contains(s, "jobs.ml") })
	same(t, "progress", []string{
		"listing jobs.ml at 100", "reached jobs.ml at 100", "reached jobs.ml at 110", "listing jobs.ml at 200", "reached jobs.ml at 200",
	}, progress)
}

// A Job that is missing from a list is gone since some time after the last
// change seen, at the latest when the list was made.
func TestFeed_missing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.jobs[ns]
	steps := []error{
		f.Replace([]any{newJob("u-1", version("5"))}, "10"),
		f.Update(newJob("u-2", named("eval"), version("12"))),
		f.Delete(newJob("u-2", named("eval"), version("14"))),
		f.Delete(newJob("u-9", named("never seen"), version("15"))),
		f.Replace(nil, "20"),
	}
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []any
	for _, c := range f.take() {
		got = append(got, c.kind, c.mark.From, c.mark.To)
	}
	want := []any{
		listing, uint64(10), uint64(10), added, uint64(1), uint64(5), listed, uint64(10), uint64(10),
		added, uint64(12), uint64(12), deleted, uint64(14), uint64(14),
		listing, uint64(20), uint64(20), missing, uint64(16), uint64(20), listed, uint64(20), uint64(20),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Pods that have ended are let go once their Job is known and has heard them;
// one that waits in vain stays, for its Job may yet run out of time.
func TestWatcher_keepsNoEndedPod(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pods := b.pods[ns]
	give := func(o *corev1.Pod) {
		if err := pods.Add(o); err != nil {
			t.Fatal(err)
		}
		for _, c := range pods.take() {
			hand(b.Watcher, resourcePods, c, b.podChanged)
		}
	}
	give(newPod("p-1", "u-1", oomKilled))
	give(newPod("p-2", "u-1", unschedulable))
	if n := pods.len(); n != 2 {
		t.Fatalf("%d pods kept before their Job is known, want 2", n)
	}
	b.stored(newJob("u-1", running, version("3")))
	b.onAdd(newJob("u-1", running, version("3")))
	if p, _ := pods.get(ns, "train-p-2"); p == nil || pods.len() != 1 {
		t.Errorf("%d pods kept, want the one that waits", pods.len())
	}
	give(newPod("p-3", "u-1", oomKilled))
	if n := pods.len(); n != 1 {
		t.Errorf("%d pods kept, want 1", n)
	}
	same(t, "said", []string{"status RUNNING", "cause OOM"}, b.sink.labels("u-1"))
}

// One run says everything and watches nothing.
func TestWatcher_Once(t *testing.T) {
	t.Parallel()
	b := newBench(t, newJob("u-1", running), newPod("p-1", "u-1", oomKilled))
	if err := b.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "said", []string{"status RUNNING", "cause OOM"}, b.sink.labels("u-1"))
	for _, a := range b.api.Actions() {
		if a.GetVerb() != "list" {
			t.Errorf("a %s of %s", a.GetVerb(), a.GetResource().Resource)
		}
	}
	b.api.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, context.DeadlineExceeded
	})
	if err := b.Once(t.Context()); err == nil {
		t.Error("a list that failed passed for complete")
	}
}

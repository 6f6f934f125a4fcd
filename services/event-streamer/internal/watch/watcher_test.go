package watch

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The informers themselves, over a fake API server: what is listed and what
// changes comes out, caches hold compact forms, and nothing is left running.
func TestWatcher_Run(t *testing.T) {
	t.Parallel()
	b := newBench(t, newJob("u-1"), newPod("p-1", "u-1", oomKilled))
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready before the first list")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	said := func(want ...string) func() bool {
		return func() bool {
			got := b.sink.labels("u-1")
			return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(got, w) })
		}
	}
	b.sink.until(t, "the list was read", said("status PENDING", "cause OOM"))
	if !b.waitForSync(ctx) {
		t.Fatal("never in sync")
	}
	if err := b.Ready(ctx); err != nil {
		t.Errorf("after the first list: %v", err)
	}
	if _, found := b.jobs[ns].get(ns, "train"); !found || b.pods[ns].len() != 0 {
		t.Errorf("the Job is kept: %v; %d pods are kept, want none that has ended", found, b.pods[ns].len())
	}

	done := newJob("u-1", running, holds(batchv1.JobComplete, ""))
	if _, err := b.api.BatchV1().Jobs(ns).UpdateStatus(ctx, done, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.sink.until(t, "the update was read", said("status SUCCEEDED"))
	if err := b.api.BatchV1().Jobs(ns).Delete(ctx, "train", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.sink.until(t, "the deletion was read", func() bool {
		b.sink.mu.Lock()
		defer b.sink.mu.Unlock()
		return slices.Contains(b.sink.lost, "u-1")
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestWatcher_watchErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, err := range []error{
		io.EOF,
		apierrors.NewResourceExpired("too old"),
		apierrors.NewForbidden(schema.GroupResource{Resource: "jobs"}, "", nil),
		errors.New("connection refused"),
	} {
		b.watchError(resourceJobs, ns, err)
	}
	for reason, want := range map[string]float64{"expired": 1, "denied": 1, "other": 1} {
		families, err := b.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got float64
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if l := m.GetLabel(); f.GetName() == "event_streamer_watch_errors_total" && l[0].GetValue() == reason {
					got += m.GetCounter().GetValue()
				}
			}
		}
		if got != want {
			t.Errorf("%s: counted %v, want %v", reason, got, want)
		}
	}
}

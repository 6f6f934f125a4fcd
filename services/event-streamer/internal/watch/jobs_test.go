package watch

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/pkg/kube"
)

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestWatcher_saysEachTransition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	created, ready := newJob("u-1"), newJob("u-1", running)
	done := newJob("u-1", running, holds(batchv1.JobSuccessCriteriaMet, ""), holds(batchv1.JobComplete, ""))
	b.onAdd(created)
	b.onUpdate(created, ready)
	b.onUpdate(ready, done)
	same(t, "said", []string{"status PENDING", "status RUNNING", "status SUCCEEDED"}, b.sink.labels("u-1"))
	same(t, "phases", []string{"job.condition.SuccessCriteriaMet", "job.condition.Complete"}, b.sink.phases("u-1"))
}

// A Job deleted and made anew under its name may come as one update: the old
// life's end was not seen.
func TestWatcher_sameNameNewUID(t *testing.T) {
	t.Parallel()
	b := newBench(t, newJob("u-2"))
	b.onAdd(newJob("u-1", running))
	b.onUpdate(newJob("u-1", running), newJob("u-2"))
	same(t, "said of the new", []string{"status PENDING"}, b.sink.labels("u-2"))
	got, err := b.sink.judged(t, "u-1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "said of the old", []string{"status RUNNING", "vanished RUNNING"}, got)
}

func TestWatcher_deleted(t *testing.T) {
	t.Parallel()
	const final, tombstone = true, false
	cases := []struct {
		name string
		last *batchv1.Job
		seen bool
		want []string
	}{
		{"while_running", newJob("u-1", running), final, []string{"status RUNNING", "status CANCELLED"}},
		{"before_it_ran", newJob("u-1"), final, []string{"status PENDING", "status CANCELLED"}},
		{"while_failing", newJob("u-1", running, holds(batchv1.JobFailureTarget, "DeadlineExceeded")), final, []string{"status RUNNING", "cause DEADLINE", "status FAILED"}},
		{"while_succeeding", newJob("u-1", running, holds(batchv1.JobSuccessCriteriaMet, "")), final, []string{"status RUNNING", "status SUCCEEDED"}},
		{"unseen", newJob("u-1", running), tombstone, []string{"status RUNNING", "vanished RUNNING"}},
		{"unseen_while_failing", newJob("u-1", running, holds(batchv1.JobFailureTarget, "DeadlineExceeded")), tombstone, []string{"status RUNNING", "cause DEADLINE", "status FAILED"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t) // the API server knows no Job
			b.onAdd(c.last)
			if c.seen {
				b.onDelete(c.last)
			} else {
				b.onMissing(c.last)
			}
			got, err := b.sink.judged(t, "u-1")
			if err != nil {
				t.Fatal(err)
			}
			same(t, "said", c.want, got)
			if n := b.count(t, "event_streamer_deletions_total", outcomeGone); n != 1 {
				t.Errorf("%v deletions counted, want 1", n)
			}
		})
	}
}

// Removal of an ended Job, by its TTL for example, is no news, and needs no look
// at the API server; what only the last object tells is said all the same.
func TestWatcher_deletedAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.onAdd(newJob("u-1", running))
	b.onDelete(newJob("u-1", running, holds(batchv1.JobComplete, "")))
	same(t, "said", []string{"status RUNNING", "status SUCCEEDED"}, b.sink.labels("u-1"))
	if len(b.sink.lost) != 1 || len(b.sink.gone) != 0 {
		t.Errorf("gone %v, to be judged %v", b.sink.lost, b.sink.gone)
	}
	if n := len(b.api.Actions()); n != 0 {
		t.Errorf("%d calls to the API server, want none", n)
	}
}

// To a watch by label, a removed label looks like a deletion.
func TestWatcher_labelRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t, newJob("u-1", running))
	b.onDelete(newJob("u-1", running))
	got, err := b.sink.judged(t, "u-1")
	if err != nil || len(got) != 0 {
		t.Errorf("said %v, %v, want nothing", got, err)
	}
	if n := b.count(t, "event_streamer_deletions_total", outcomeUnlabelled); n != 1 {
		t.Errorf("%v removed labels counted, want 1", n)
	}
}

// Another Job under the name does not prove that this one lives.
func TestWatcher_deletedAndReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t, newJob("u-2"))
	b.onDelete(newJob("u-1", running))
	got, err := b.sink.judged(t, "u-1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "said", []string{"status RUNNING", "status CANCELLED"}, got)
}

// An API server that does not answer proves nothing.
func TestWatcher_deletedWhileTheAPIServerIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	down := errors.New("connection refused")
	b.api.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, down })
	b.onDelete(newJob("u-1", running))
	if got, err := b.sink.judged(t, "u-1"); !errors.Is(err, down) || got != nil {
		t.Errorf("said %v, %v, want the error", got, err)
	}
}

func TestWatcher_badInput(t *testing.T) {
	t.Parallel()
	label := func(v string) func(*batchv1.Job) {
		return func(o *batchv1.Job) { o.Labels[kube.LabelJobID] = v }
	}
	attempt := func(o *batchv1.Job) { o.Annotations[kube.AnnotationAttempt] = "0" }
	b := newBench(t)
	for range 3 { // however often it is seen, it is counted once
		b.onAdd(newJob("u-1", label("no/id")))
		b.onAdd(newJob("u-2", attempt))
		b.onAdd(newJob("", running))
		b.onAdd(newJob("u-4", func(o *batchv1.Job) { o.Annotations[kube.AnnotationOutputURI] = "ftp://x" }))
	}
	for reason, want := range map[string]float64{reasonJobID: 1, reasonAttempt: 1, reasonUnreadable: 1} {
		if got := b.count(t, "event_streamer_jobs_ignored_total", reason); got != want {
			t.Errorf("%s: counted %v, want %v", reason, got, want)
		}
	}
	if got := b.count(t, "event_streamer_annotations_ignored_total", "output-uri"); got != 1 {
		t.Errorf("annotations: counted %v, want 1", got)
	}
	same(t, "said of the one with a bad annotation", []string{"status PENDING"}, b.sink.labels("u-4"))
	for _, uid := range []types.UID{"u-1", "u-2", ""} {
		if got := b.sink.labels(uid); got != nil {
			t.Errorf("said %v of a Job to be ignored", got)
		}
	}
	b.onAdd(newJob("u-1")) // mended
	same(t, "said once it is mended", []string{"status PENDING"}, b.sink.labels("u-1"))
	b.onDelete(newJob("u-1", label("no/id")))
	if len(b.sink.lost) != 1 {
		t.Error("the queue was not told that an ignored Job is gone")
	}
}

func TestWatcher_outlivesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	feed := b.jobs[ns]
	for _, obj := range []any{nil, 42, (*batchv1.Job)(nil), newJob("u-1")} {
		compact, err := feed.Transformer()(obj)
		if err != nil {
			t.Errorf("transform %v: %v", obj, err)
		}
		if err := feed.Add(compact); err != nil {
			t.Errorf("add %v: %v", obj, err)
		}
	}
	if err := feed.Delete(42); err != nil {
		t.Error(err)
	}
	b.job(change[*kube.Job]{kind: deleted}) // panics within
	for _, c := range feed.take() {
		b.job(c)
	}
	same(t, "said afterwards", []string{"status PENDING"}, b.sink.labels("u-1"))
	if n := b.count(t, "event_streamer_watch_panics_total", ""); n != 3 {
		t.Errorf("%v panics counted, want two of reading and one of handling", n)
	}
}

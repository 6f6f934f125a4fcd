package watch

import (
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/kube"
)

// stored puts a Job where the feed would keep it.
func (b *bench) stored(o *batchv1.Job) {
	f := b.jobs[ns]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(kube.ReadJob(o))
}

func (b *bench) storedPod(o *corev1.Pod) *corev1.Pod {
	f := b.pods[ns]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(kube.ReadPod(o))
	return o
}

func TestWatcher_podTellsTheCause(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stored(newJob("u-1", running))
	b.onPod(newPod("p-1", "u-1", oomKilled))
	same(t, "said", []string{"cause OOM"}, b.sink.labels("u-1"))
	if !slices.Contains(b.sink.phases("u-1"), "pod train-p-1") {
		t.Errorf("phases %v, want that of the pod", b.sink.phases("u-1"))
	}
}

// Two watches have no common order: a pod may be seen before its Job.
func TestWatcher_podBeforeItsJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.storedPod(newPod("p-1", "u-1", oomKilled))
	b.onPod(p)
	if got := b.sink.labels("u-1"); got != nil {
		t.Fatalf("said %v of a Job that was not seen", got)
	}
	b.onAdd(newJob("u-1", running))
	same(t, "said", []string{"status RUNNING", "cause OOM"}, b.sink.labels("u-1"))
}

// A pod of an earlier life must not speak for the Job that has its name now.
func TestWatcher_podOfAnotherLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stored(newJob("u-2"))
	b.onPod(newPod("p-1", "u-1", oomKilled))
	b.onPod(newPod("p-2", "u-2", func(o *corev1.Pod) { o.OwnerReferences = nil }, oomKilled))
	if len(b.sink.facts) != 0 {
		t.Errorf("said %v", b.sink.facts)
	}
}

// Pods go after their Job; what they say then still counts.
func TestWatcher_podOfADeletedJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.onDelete(newJob("u-1", running))
	b.onPodDelete(newPod("p-1", "u-1", func(o *corev1.Pod) {
		start := metav1.NewTime(noon.Add(time.Second))
		o.Status.Phase, o.Status.StartTime = corev1.PodRunning, &start
	}))
	same(t, "phases", []string{"pod train-p-1"}, b.sink.phases("u-1"))
}

// The controller deletes the pods of a Job that ran out of time and only then
// says that it did. What they waited for is the cause all the same.
func TestWatcher_podThatWaitedInVain(t *testing.T) {
	t.Parallel()
	before := newJob("u-1")
	overdue := newJob("u-1", holds(batchv1.JobFailureTarget, "DeadlineExceeded"))
	cases := []struct {
		name string
		pods func(b *bench)
		want []string
	}{
		{"deleted_before", func(b *bench) {
			b.onPodDelete(newPod("p-1", "u-1", unschedulable))
		}, []string{"status PENDING", "cause DEADLINE", "cause UNSCHEDULABLE"}},
		{"still_there", func(b *bench) {
			b.onPod(b.storedPod(newPod("p-1", "u-1", unschedulable)))
		}, []string{"status PENDING", "cause DEADLINE", "cause UNSCHEDULABLE"}},
		{"another_one_ran_since", func(b *bench) {
			b.onPodDelete(newPod("p-1", "u-1", unschedulable))
			b.onPod(newPod("p-2", "u-1", func(o *corev1.Pod) {
				start := metav1.NewTime(noon.Add(time.Second))
				o.Status.Phase, o.Status.StartTime = corev1.PodRunning, &start
			}))
		}, []string{"status PENDING", "cause DEADLINE"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.onAdd(before)
			b.stored(before)
			c.pods(b)
			same(t, "said while it waits", []string{"status PENDING"}, b.sink.labels("u-1"))
			b.onUpdate(before, overdue)
			same(t, "said once it is overdue", c.want, b.sink.labels("u-1"))
		})
	}
}

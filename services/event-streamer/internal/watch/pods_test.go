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

// hearer remembers which pods it was told of while their Job was overdue.
type hearer struct{ pods []string }

func (h *hearer) PodSeen(p *kube.Pod, owner *kube.Job, _ bool) {
	if owner.Overdue() {
		h.pods = append(h.pods, p.Name)
	}
}
func (h *hearer) JobSeen(*kube.Job) {}
func (h *hearer) JobGone(*kube.Job) {}

// A pod that is killed says no cause. It is kept until it is gone: that its Job was
// out of time is told a moment later, and then its last words matter.
func TestWatcher_podKilledForItsJob(t *testing.T) {
	t.Parallel()
	b, heard := newBench(t), &hearer{}
	b.Capture(heard)
	before := newJob("u-1", running)
	b.onAdd(before)
	b.stored(before)
	feed := b.pods[ns]
	killed := newPod("p-1", "u-1", func(o *corev1.Pod) {
		start, end, grace := metav1.NewTime(noon.Add(time.Second)), metav1.NewTime(noon.Add(time.Minute)), int64(30)
		o.DeletionTimestamp, o.DeletionGracePeriodSeconds = &end, &grace
		o.Status.Phase, o.Status.StartTime = corev1.PodFailed, &start
		o.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 143, FinishedAt: metav1.NewTime(noon.Add(31 * time.Second))},
		}}}
	})
	if err := feed.Add(killed); err != nil {
		t.Fatal(err)
	}
	for _, c := range feed.take() {
		b.pod(c)
	}
	b.onUpdate(before, newJob("u-1", running, holds(batchv1.JobFailureTarget, "DeadlineExceeded")))
	same(t, "told of once the Job is overdue", []string{"train-p-1"}, heard.pods)
	same(t, "said", []string{"status RUNNING", "cause DEADLINE"}, b.sink.labels("u-1"))
	if err := feed.Delete(killed); err != nil || feed.len() != 0 {
		t.Errorf("%d pods kept after it was removed: %v", feed.len(), err)
	}
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

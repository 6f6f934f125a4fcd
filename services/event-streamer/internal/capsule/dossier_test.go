package capsule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// after is so many seconds past noon.
func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func failedPod(uid string, seconds int) *kube.Pod {
	return &kube.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "train-" + uid, Namespace: "ml", UID: types.UID(uid)}, Node: "node-1",
		Phase: corev1.PodFailed, EndedAt: after(seconds),
	}
}

func restarted(uid string, seconds ...int) *kube.Pod {
	p := failedPod(uid, 0)
	p.Phase, p.EndedAt = corev1.PodRunning, time.Time{}
	for _, s := range seconds {
		p.Causes = append(p.Causes, kube.PodCause{CauseDetail: job.CauseDetail{Cause: job.CauseAppExit}, At: after(s)})
	}
	return p
}

func jobWith(conditions ...kube.Condition) *kube.Job {
	return &kube.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train", Namespace: "ml", UID: "u-1", CreationTimestamp: metav1.NewTime(noon)},
		JobID:      "j-17", Conditions: conditions,
	}
}

func holds(kind batchv1.JobConditionType, reason string, seconds int) kube.Condition {
	return kube.Condition{Type: kind, True: true, Reason: reason, At: after(seconds)}
}

func TestFailedAt(t *testing.T) {
	t.Parallel()
	waiting := restarted("p", 5)
	waiting.Causes[0].Waiting = true
	killed := func(p *kube.Pod) *kube.Pod {
		p.Phase, p.EndedAt, p.Cancelled = corev1.PodFailed, after(90), true
		return p
	}
	overdue := jobWith(holds(batchv1.JobFailureTarget, "DeadlineExceeded", 60))
	cases := []struct {
		name   string
		pod    *kube.Pod
		job    *kube.Job
		want   int
		failed bool
	}{
		{"failed", failedPod("p", 9), jobWith(), 9, true},
		{"a_container_was_restarted_twice", restarted("p", 20, 5), jobWith(), 20, true},
		{"runs", restarted("p"), jobWith(), 0, false},
		{"waits_for_an_image", waiting, jobWith(), 0, false},
		{"runs_when_time_is_over", restarted("p"), overdue, 60, true},
		{"has_succeeded_when_time_is_over", &kube.Pod{Phase: corev1.PodSucceeded}, overdue, 0, false},
		{"killed_as_it_was_deleted", killed(restarted("p")), jobWith(), 0, false},
		{"killed_after_a_container_was_restarted", killed(restarted("p", 5)), jobWith(), 5, true},
		{"killed_when_time_is_over", killed(restarted("p")), overdue, 60, true},
		{"killed_when_its_job_fails_otherwise", killed(restarted("p")), jobWith(holds(batchv1.JobFailureTarget, "BackoffLimitExceeded", 60)), 0, false},
		{"runs_when_its_job_fails_otherwise", restarted("p"), jobWith(holds(batchv1.JobFailureTarget, "BackoffLimitExceeded", 60)), 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at, failed := failedAt(c.pod, c.job)
			if failed != c.failed || failed && !at.Equal(after(c.want)) {
				t.Errorf("got %s, %t", at, failed)
			}
		})
	}
}

// A story is what is heard of a Job: a failed pod, the end of the Job, or that a
// worker takes what is due.
type story struct {
	pod  string
	at   int
	over bool
	take string // what is taken, "-" for nothing
}

func TestDossier(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		story []story
	}{
		{"the_first_at_once_the_last_at_the_end", []story{
			{pod: "a", at: 1}, {take: "a"}, {take: "-"},
			{pod: "b", at: 2}, {pod: "c", at: 3}, {take: "-"},
			{over: true, at: 3}, {take: "c"}, {take: "-"},
		}},
		{"only_one_failed", []story{{pod: "a", at: 1}, {take: "a"}, {over: true, at: 1}, {take: "-"}}},
		{"a_list_tells_them_in_no_order", []story{
			{pod: "b", at: 2}, {pod: "c", at: 3}, {pod: "a", at: 1}, {over: true, at: 3}, {take: "a"}, {take: "c"}, {take: "-"},
		}},
		{"each_is_told_again_and_again", []story{
			{pod: "a", at: 1}, {pod: "a", at: 1}, {take: "a"}, {pod: "a", at: 1}, {over: true, at: 1}, {pod: "a", at: 1}, {take: "-"},
		}},
		{"the_end_is_heard_of_first", []story{
			{pod: "a", at: 1}, {take: "a"}, {over: true, at: 4}, {take: "-"}, {pod: "b", at: 4}, {take: "b"},
		}},
		{"failed_because_its_job_did", []story{
			{pod: "a", at: 1}, {take: "a"}, {over: true, at: 4}, {pod: "b", at: 5}, {take: "-"},
		}},
		{"the_only_one_failed_because_its_job_did", []story{{over: true, at: 4}, {pod: "a", at: 5}, {take: "a"}}},
		{"older_ones_tell_nothing_new", []story{
			{pod: "c", at: 3}, {take: "c"}, {pod: "a", at: 1}, {over: true, at: 9}, {take: "-"},
		}},
		{"a_container_that_fails_again_and_again", []story{
			{pod: "a", at: 1}, {take: "a"}, {pod: "a", at: 20}, {pod: "a", at: 60}, {take: "-"}, {over: true, at: 60}, {take: "a"},
		}},
		{"never_more_than_three", []story{
			{pod: "a", at: 1}, {take: "a"}, {over: true, at: 9}, {pod: "b", at: 2}, {take: "b"}, {pod: "c", at: 3}, {take: "c"},
			{pod: "d", at: 4}, {take: "-"},
		}},
		{"gone_without_a_word", []story{{pod: "a", at: 1}, {take: "a"}, {pod: "b", at: 2}, {over: true, at: -1}, {take: "b"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &dossier{}
			for i, s := range c.story {
				switch {
				case s.pod != "":
					d.note(&failure{job: jobWith(), pod: failedPod(s.pod, s.at), at: after(s.at)})
				case s.over && s.at < 0:
					d.end(time.Time{})
				case s.over:
					d.end(after(s.at))
				default:
					got := "-"
					if f := d.take(); f != nil {
						got = string(f.pod.UID)
					}
					if got != s.take {
						t.Fatalf("step %d: %s was taken, want %s", i, got, s.take)
					}
				}
			}
		})
	}
}

func TestLogsOf(t *testing.T) {
	t.Parallel()
	ended := func(code int32) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: code}
	}
	pod := &corev1.Pod{Status: corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "init", State: corev1.ContainerState{Terminated: ended(0)}}},
		ContainerStatuses: []corev1.ContainerStatus{
			{Name: "fine", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			{Name: "loops", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}, LastTerminationState: corev1.ContainerState{Terminated: ended(1)}},
			{Name: "never", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}},
			{Name: "dead", State: corev1.ContainerState{Terminated: ended(137)}, LastTerminationState: corev1.ContainerState{Terminated: ended(1)}},
		},
	}}
	var got []string
	for _, l := range logsOf(pod) {
		got = append(got, l.String())
	}
	want := []string{
		"log of container dead", "log of container dead before its restart", "log of container loops before its restart",
		"log of container fine", "log of container init",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

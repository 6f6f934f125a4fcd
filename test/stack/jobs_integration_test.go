//go:build integration

package stack_test

import (
	"context"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/envision/resiliency/test/stack"
)

func TestStack_jobs_end_as_declared(t *testing.T) {
	t.Parallel()
	project := newProject(t, "outcomes")
	cases := []struct {
		outcome   stack.Outcome
		condition batchv1.JobConditionType // "" for one that must not end
		phase     corev1.PodPhase
		exitCode  int32
		reason    string // of the terminated or waiting container
	}{
		{stack.OutcomeSucceed, batchv1.JobComplete, corev1.PodSucceeded, 0, "Completed"},
		{stack.OutcomeExit, batchv1.JobFailed, corev1.PodFailed, 3, "Error"},
		{stack.OutcomeOOM, batchv1.JobFailed, corev1.PodFailed, 137, "OOMKilled"},
		{stack.OutcomeEvict, batchv1.JobFailed, corev1.PodFailed, 0, ""},
		{stack.OutcomeHang, "", corev1.PodRunning, 0, ""},
		{stack.OutcomeImage, "", corev1.PodPending, 0, "ImagePullBackOff"},
		{stack.OutcomeUnschedulable, "", corev1.PodPending, 0, ""},
	}
	for _, tc := range cases {
		t.Run(string(tc.outcome), func(t *testing.T) {
			t.Parallel()
			name := "job-" + string(tc.outcome)
			createJob(t, stack.JobSpec{
				Namespace: project.Namespace, Name: name, JobID: name, Outcome: tc.outcome,
				ExitCode: 3, After: 1500 * time.Millisecond,
			})
			pod := awaitPod(t, project.Namespace, name, tc.phase, tc.reason)
			if got := pod.Labels[stack.LabelJobID]; got != name {
				t.Errorf("pod's job id label is %q, want %q", got, name)
			}
			if len(pod.Status.ContainerStatuses) > 0 {
				if end := pod.Status.ContainerStatuses[0].State.Terminated; end != nil {
					if end.ExitCode != tc.exitCode {
						t.Errorf("exit code %d, want %d", end.ExitCode, tc.exitCode)
					}
					if took := end.FinishedAt.Sub(end.StartedAt.Time); took < time.Second || took > 10*time.Second {
						t.Errorf("the container ran for %s, want about 1.5 s", took)
					}
				}
			}
			if tc.condition != "" {
				awaitCondition(t, project.Namespace, name, tc.condition)
			}
		})
	}
}

func newProject(t *testing.T, prefix string) *stack.Project {
	t.Helper()
	project, err := shared.NewProject(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func createJob(t *testing.T, spec stack.JobSpec) {
	t.Helper()
	_, err := shared.Kube().BatchV1().Jobs(spec.Namespace).Create(t.Context(), stack.Job(spec), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitPod(t *testing.T, namespace, job string, phase corev1.PodPhase, reason string) corev1.Pod {
	t.Helper()
	var found corev1.Pod
	poll(t, 30*time.Second, "pod of "+job+" to be "+string(phase), func(ctx context.Context) (bool, error) {
		pods, err := shared.Kube().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		if err != nil {
			return false, err
		}
		for _, pod := range pods.Items {
			if found = pod; pod.Status.Phase == phase && (reason == "" || containerReason(pod) == reason) {
				return true, nil
			}
		}
		return false, nil
	})
	return found
}

func containerReason(pod corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Terminated != nil:
			return c.State.Terminated.Reason
		case c.State.Waiting != nil:
			return c.State.Waiting.Reason
		}
	}
	return ""
}

func awaitCondition(t *testing.T, namespace, name string, condition batchv1.JobConditionType) {
	t.Helper()
	poll(t, 30*time.Second, "job "+name+" to be "+string(condition), func(ctx context.Context) (bool, error) {
		job, err := shared.Kube().BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range job.Status.Conditions {
			if c.Type == condition && c.Status == corev1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
}

func poll(t *testing.T, within time.Duration, what string, done wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, within, true, done); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
}

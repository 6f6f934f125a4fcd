package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/test/stack"
)

const (
	// finishedJobs is how many finished Jobs, with a pod each, the streamer meets.
	finishedJobs = 20_000
	// creators is how many of them are made at once.
	creators = 24
	// managedBy keeps the Job controller's hands off Jobs that are made finished.
	managedBy = "bench.resiliency.envision.dev/none"
)

// createFinished makes Jobs and pods that have ended, as objects: the
// controllers would take a quarter of an hour for them.
func createFinished(ctx context.Context, client kubernetes.Interface, namespace string, jobs int) error {
	var next atomic.Int64
	return spread(ctx, creators, (jobs+creators-1)/creators, func(ctx context.Context, _, _ int) error {
		n := next.Add(1)
		if n > int64(jobs) {
			return nil
		}
		j, err := createFinishedJob(ctx, client, namespace, fmt.Sprintf("done-%05d", n))
		if err != nil {
			return err
		}
		return createFinishedPod(ctx, client, j)
	})
}

func createFinishedJob(ctx context.Context, client kubernetes.Interface, namespace, name string) (*batchv1.Job, error) {
	j := stack.Job(stack.JobSpec{Namespace: namespace, Name: name, JobID: name, Owner: "team", CorrelationID: "request-" + name})
	j.Spec.ManagedBy = new(managedBy)
	j, err := client.BatchV1().Jobs(namespace).Create(ctx, j, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create job %s: %w", name, err)
	}
	now := metav1.Now()
	j.Status.StartTime, j.Status.CompletionTime, j.Status.Succeeded = &now, &now, 1
	for _, kind := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonCompletionsReached,
			Message: "Reached expected number of succeeded pods", LastProbeTime: now, LastTransitionTime: now,
		})
	}
	if j, err = client.BatchV1().Jobs(namespace).UpdateStatus(ctx, j, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("finish job %s: %w", name, err)
	}
	return j, nil
}

func createFinishedPod(ctx context.Context, client kubernetes.Interface, j *batchv1.Job) error {
	owner := *metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))
	labels := map[string]string{batchv1.JobNameLabel: j.Name, batchv1.ControllerUidLabel: string(j.UID)}
	for k, v := range j.Spec.Template.Labels {
		labels[k] = v
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: j.Namespace, Name: j.Name + "-abcde", Labels: labels,
			Annotations: j.Spec.Template.Annotations, OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: *j.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.SchedulerName = managedBy // nobody schedules it, so nothing runs it
	pod, err := client.CoreV1().Pods(j.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create pod of job %s: %w", j.Name, err)
	}
	now := metav1.NewTime(time.Now())
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodSucceeded, StartTime: &now,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "PodCompleted", LastTransitionTime: now},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: now, FinishedAt: now,
			}},
		}},
	}
	if _, err := client.CoreV1().Pods(j.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("finish pod of job %s: %w", j.Name, err)
	}
	return nil
}

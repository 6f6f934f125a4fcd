package cluster

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func before(d time.Duration) metav1.Time { return metav1.NewTime(noon().Add(-d)) }

func prober(client kubernetes.Interface, cfg Config) *Prober {
	mapper := &kube.Mapper{
		Cluster: "c1", Source: resiliencyv1.Source_SOURCE_RECOVERY_JOB, Reporter: "test",
		Tenants: map[string]string{"ml": "vision", "etl": "data"},
	}
	return New(client, mapper, cfg, noon, zerolog.Nop())
}

// aJob is the Kubernetes Job of j-1, made three hours ago.
func aJob(edits ...func(*batchv1.Job)) *batchv1.Job {
	o := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "train", Namespace: "ml", UID: "u-1", Generation: 1, CreationTimestamp: before(3 * time.Hour),
		Labels: map[string]string{kube.LabelJobID: "j-1"}, Annotations: map[string]string{},
	}}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func condition(kind batchv1.JobConditionType, reason string) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		o.Status.Conditions = append(o.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: before(time.Hour),
		})
	}
}

func ready(o *batchv1.Job) {
	one, at := int32(1), before(2*time.Hour)
	o.Status.Ready, o.Status.StartTime = &one, &at
}

func failedOnce(o *batchv1.Job) { o.Status.Failed = 1 }

func suspended(o *batchv1.Job) {
	yes := true
	o.Spec.Suspend = &yes
	condition(batchv1.JobSuspended, "JobSuspended")(o)
}

func label(key, value string) func(*batchv1.Job) {
	return func(o *batchv1.Job) { o.Labels[key] = value }
}

// aPod is a pod of aJob, pending.
func aPod(edits ...func(*corev1.Pod)) *corev1.Pod {
	yes := true
	o := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "train-x", Namespace: "ml", UID: "p-1", CreationTimestamp: before(3 * time.Hour),
			Labels:          map[string]string{kube.LabelJobID: "j-1", batchv1.ControllerUidLabel: "u-1"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "train", UID: "u-1", Controller: &yes}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func podUID(uid types.UID) func(*corev1.Pod) {
	return func(o *corev1.Pod) { o.Name, o.UID = "train-"+string(uid), uid }
}

func unschedulable(o *corev1.Pod) {
	o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/3 nodes are available", LastTransitionTime: before(time.Hour),
	})
}

func pulling(o *corev1.Pod) {
	o.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"},
	}}}
}

func working(o *corev1.Pod) {
	at := before(2 * time.Hour)
	o.Status.Phase, o.Status.StartTime = corev1.PodRunning, &at
}

func endingAt(at metav1.Time) func(*corev1.Pod) {
	return func(o *corev1.Pod) { o.DeletionTimestamp, o.Finalizers = &at, []string{batchv1.JobTrackingFinalizer} }
}

func refused(message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "train.1", Namespace: "ml"},
		InvolvedObject: corev1.ObjectReference{Kind: "Job", UID: "u-1"}, Reason: reasonFailedCreate, Message: message,
		LastTimestamp: before(time.Minute),
	}
}

package kube

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/jobevent"
)

// Text as containers and foreign controllers write it: any bytes.
var (
	anyText = rapid.OneOf(rapid.SampledFrom([]string{
		"", "Evicted", "OOMKilled", "Unschedulable", "ImagePullBackOff", "PodFailurePolicy", "PreemptionByScheduler", "\xff\xfe",
		"Container a for pod b/c failed with exit code 99999999999 matching FailJob rule at index 0",
	}), rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 3000), func(b []byte) string { return string(b) }))
	anyTime = rapid.Custom(func(t *rapid.T) metav1.Time {
		if rapid.Bool().Draw(t, "zero") {
			return metav1.Time{}
		}
		return metav1.NewTime(noon.Add(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "s")) * time.Second))
	})
	anyStatus = rapid.SampledFrom([]corev1.ConditionStatus{"True", "False", "Unknown", ""})
	anyType   = rapid.OneOf(anyText, rapid.SampledFrom([]string{"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended"}))
)

func optional[T any](t *rapid.T, g *rapid.Generator[T]) *T {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	v := g.Draw(t, "value")
	return &v
}

func drawMeta(t *rapid.T) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name: "train", Namespace: "ml", UID: types.UID(rapid.SampledFrom([]string{"", "u-1", "u-2"}).Draw(t, "uid")),
		Generation: rapid.Int64Range(0, 3).Draw(t, "generation"), CreationTimestamp: anyTime.Draw(t, "created"),
		DeletionTimestamp:          optional(t, anyTime),
		DeletionGracePeriodSeconds: optional(t, rapid.SampledFrom([]int64{0, 30, math.MaxInt64, math.MinInt64})),
	}
	if rapid.Bool().Draw(t, "labelled") {
		m.Labels = map[string]string{LabelJobID: rapid.OneOf(rapid.Just("j-1"), anyText).Draw(t, "id")}
		m.Annotations = map[string]string{}
		for _, k := range []string{AnnotationAttempt, AnnotationCorrelationID, AnnotationOwner, AnnotationOutputURI, AnnotationStageFinal} {
			m.Annotations[k] = rapid.OneOf(rapid.SampledFrom([]string{"", "1", "false", "gs://abc/d/"}), anyText).Draw(t, k)
		}
	}
	return m
}

func drawJob(t *rapid.T) *batchv1.Job {
	o := &batchv1.Job{ObjectMeta: drawMeta(t)}
	o.Spec.Suspend = optional(t, rapid.Bool())
	o.Status.StartTime, o.Status.CompletionTime = optional(t, anyTime), optional(t, anyTime)
	o.Status.Ready = optional(t, rapid.Int32())
	o.Status.Succeeded, o.Status.Failed = rapid.Int32().Draw(t, "ok"), rapid.Int32Range(-1, 2).Draw(t, "bad")
	for range rapid.IntRange(0, 40).Draw(t, "conditions") {
		o.Status.Conditions = append(o.Status.Conditions, batchv1.JobCondition{
			Type: batchv1.JobConditionType(anyType.Draw(t, "type")), Status: anyStatus.Draw(t, "status"),
			LastTransitionTime: anyTime.Draw(t, "at"), Reason: anyText.Draw(t, "reason"), Message: anyText.Draw(t, "message"),
		})
	}
	return o
}

func drawState(t *rapid.T) (s corev1.ContainerState) {
	if rapid.Bool().Draw(t, "terminated") {
		s.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: rapid.Int32().Draw(t, "exit"), Reason: anyText.Draw(t, "reason"), Message: anyText.Draw(t, "message"),
			FinishedAt: anyTime.Draw(t, "end"),
		}
	}
	if rapid.Bool().Draw(t, "waiting") {
		s.Waiting = &corev1.ContainerStateWaiting{Reason: anyText.Draw(t, "reason"), Message: anyText.Draw(t, "message")}
	}
	return s
}

func drawPod(t *rapid.T) *corev1.Pod {
	o := &corev1.Pod{ObjectMeta: drawMeta(t)}
	o.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", UID: "u-1", Controller: optional(t, rapid.Bool())}}
	o.Status.Phase = corev1.PodPhase(rapid.SampledFrom([]string{"", "Pending", "Running", "Failed", "Succeeded"}).Draw(t, "phase"))
	o.Status.Reason, o.Status.Message = anyText.Draw(t, "reason"), anyText.Draw(t, "message")
	o.Status.StartTime = optional(t, anyTime)
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{
			Type:   corev1.PodConditionType(rapid.SampledFrom([]string{"PodScheduled", "DisruptionTarget", "Ready"}).Draw(t, "type")),
			Status: anyStatus.Draw(t, "status"), Reason: anyText.Draw(t, "reason"), LastTransitionTime: anyTime.Draw(t, "at"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "containers") {
		s := corev1.ContainerStatus{Name: anyText.Draw(t, "name"), State: drawState(t), LastTerminationState: drawState(t)}
		o.Status.ContainerStatuses = append(o.Status.ContainerStatuses, s)
		o.Status.InitContainerStatuses = append(o.Status.InitContainerStatuses, s)
	}
	return o
}

// No object makes the reader panic, and whatever it makes of one is within the
// contract: it marshals, a consumer accepts it, and it comes out the same twice.
func TestMapper_anyObject(t *testing.T) {
	t.Parallel()
	m := testMapper()
	rapid.Check(t, func(t *rapid.T) {
		o, p := drawJob(t), drawPod(t)
		for _, read := range []func() (Facts, error){
			func() (Facts, error) { return m.Job(ReadJob(o)) },
			func() (Facts, error) { return m.Deleted(ReadJob(o), true) },
			func() (Facts, error) { return m.Deleted(ReadJob(o), false) },
			func() (Facts, error) { return m.Pod(ReadPod(p), ReadJob(o)) },
			func() (Facts, error) { return m.PodDeleted(ReadPod(p), ReadJob(o)) },
		} {
			f, err := read()
			again, _ := read()
			if diff := cmp.Diff(f, again, protocmp.Transform()); diff != "" {
				t.Fatalf("said differently the second time:\n%s", diff)
			}
			if err == nil {
				checkContract(t, f)
			}
		}
	})
}

func checkContract(t *rapid.T, f Facts) {
	ids := map[string]bool{}
	for i := range f.Observations {
		e := jobevent.Encode(&f.Observations[i])
		if _, err := proto.Marshal(e); err != nil {
			t.Fatalf("marshal: %v", err)
		}
		if _, err := jobevent.Decode(e, noon.Add(24*365*time.Hour)); err != nil {
			t.Fatalf("a consumer would refuse %v: %v", e, err)
		}
		ids[e.GetEventId()] = true
	}
	for _, p := range f.Phases {
		if _, err := proto.Marshal(p); err != nil {
			t.Fatalf("marshal: %v", err)
		}
		if ids[p.GetEventId()] || p.GetEvent() == nil || len(p.GetName()) > maxPhase || len(p.GetMessage()) > maxMessage {
			t.Fatalf("phase outside the contract: %v", p)
		}
	}
}

func BenchmarkMapper_Job(b *testing.B) {
	m, j := testMapper(), jobAt(started(time.Second, 0), condition(batchv1.JobSuccessCriteriaMet, "True", time.Minute), condition(batchv1.JobComplete, "True", time.Minute))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Job(j); err != nil {
			b.Fatal(err)
		}
	}
}

package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// podAt is a Pod of the Job of jobAt, created at noon, edited.
func podAt(phase corev1.PodPhase, edits ...func(*corev1.Pod)) *Pod {
	controller := true
	o := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "train-x7k2p", Namespace: "ml", UID: "p-1", CreationTimestamp: metav1.NewTime(noon),
		OwnerReferences: []metav1.OwnerReference{
			{Kind: "Other", Name: "x", UID: "u-0"},
			{Kind: "Job", Name: "train", UID: "u-1", Controller: &controller},
		},
	}}
	o.Spec.NodeName, o.Status.Phase = "node-1", phase
	for _, edit := range edits {
		edit(o)
	}
	return ReadPod(o)
}

func ended(reason string, code int32, at time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: after(at)}}
}

func main(s corev1.ContainerState) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		o.Status.ContainerStatuses = append(o.Status.ContainerStatuses, corev1.ContainerStatus{Name: "main", State: s})
	}
}

func initial(s corev1.ContainerState, policy *corev1.ContainerRestartPolicy) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		o.Spec.InitContainers = append(o.Spec.InitContainers, corev1.Container{Name: "init", RestartPolicy: policy})
		o.Status.InitContainerStatuses = append(o.Status.InitContainerStatuses, corev1.ContainerStatus{Name: "init", State: s})
	}
}

func last(s corev1.ContainerState) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		o.Status.ContainerStatuses = append(o.Status.ContainerStatuses, corev1.ContainerStatus{Name: "main", LastTerminationState: s})
	}
}

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "why"}}
}

func disrupted(reason string) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: after(time.Minute),
		})
	}
}

func because(reason string) func(*corev1.Pod) {
	return func(o *corev1.Pod) { o.Status.Reason = reason }
}

// gone has the deletion of a pod asked for, with half a minute of grace.
func gone(at time.Duration) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		end, grace := after(at+30*time.Second), int64(30)
		o.DeletionTimestamp, o.DeletionGracePeriodSeconds = &end, &grace
	}
}

func unscheduled(reason string) func(*corev1.Pod) {
	return func(o *corev1.Pod) {
		o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: after(time.Second),
		})
	}
}

func TestReadPod_causes(t *testing.T) {
	t.Parallel()
	always := corev1.ContainerRestartPolicyAlways
	failed, running, pending := corev1.PodFailed, corev1.PodRunning, corev1.PodPending
	cases := []struct {
		name string
		pod  *Pod
		want []string
	}{
		{"healthy", podAt(running, main(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})), nil},
		{"succeeded", podAt(corev1.PodSucceeded, main(ended("Completed", 0, time.Minute)), last(ended("OOMKilled", 137, 0))), nil},
		{"exit_code", podAt(failed, main(ended("Error", 3, time.Minute))), []string{"APP_EXIT"}},
		{"oom", podAt(failed, main(ended("OOMKilled", 137, time.Minute))), []string{"OOM"}},
		{"oom_with_exit_code_zero", podAt(failed, main(ended("OOMKilled", 0, time.Minute))), []string{"OOM"}},
		{"oom_of_init_container", podAt(failed, initial(ended("OOMKilled", 137, time.Minute), nil)), []string{"OOM"}},
		{"oom_before_restart", podAt(running, last(ended("OOMKilled", 137, time.Minute))), []string{"OOM"}},
		{"sidecar_killed_at_the_end", podAt(failed, initial(ended("Error", 143, time.Minute), &always), main(ended("Error", 1, time.Minute))), []string{"APP_EXIT"}},
		{"evicted_by_kubelet", podAt(failed, because("Evicted"), disrupted("TerminationByKubelet"), main(ended("Error", 137, time.Minute))), []string{"EVICTED"}},
		{"evicted_by_api", podAt(failed, disrupted("EvictionByEvictionAPI"), main(ended("Error", 143, time.Minute))), []string{"EVICTED"}},
		{"preempted", podAt(running, disrupted("PreemptionByScheduler")), []string{"PREEMPTED"}},
		{"preempted_after_an_oom", podAt(failed, disrupted("PreemptionByScheduler"), last(ended("OOMKilled", 137, time.Second))), []string{"PREEMPTED", "OOM"}},
		{"taint", podAt(running, disrupted("DeletionByTaintManager")), []string{"NODE_LOST"}},
		{"pod_gc", podAt(failed, disrupted("DeletionByPodGC")), []string{"NODE_LOST"}},
		{"node_shutdown", podAt(failed, because("Terminated"), disrupted("TerminationByKubelet")), []string{"NODE_LOST"}},
		{"unknown_disruption", podAt(failed, disrupted("ByAnOperator")), []string{"OTHER"}},
		{"disruption_undone", podAt(running, func(o *corev1.Pod) {
			o.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionFalse, Reason: "PreemptionByScheduler"}}
		}), nil},
		{"pod_deadline", podAt(failed, because("DeadlineExceeded")), []string{"DEADLINE"}},
		{"rejected_by_node", podAt(failed, because("OutOfmemory")), []string{"UNSCHEDULABLE"}},
		{"image_pull", podAt(pending, main(waiting("ErrImagePull"))), []string{"IMAGE"}},
		{"image_back_off", podAt(pending, main(waiting("ImagePullBackOff"))), []string{"IMAGE"}},
		{"image_name", podAt(pending, initial(waiting("InvalidImageName"), nil)), []string{"IMAGE"}},
		{"config", podAt(pending, main(waiting("CreateContainerConfigError"))), []string{"CONFIG"}},
		{"cannot_start", podAt(failed, main(ended("StartError", 128, time.Minute))), []string{"CONFIG"}},
		{"creating_is_no_cause", podAt(pending, main(waiting("ContainerCreating"))), nil},
		{"unschedulable", podAt(pending, unscheduled("Unschedulable")), []string{"UNSCHEDULABLE"}},
		{"gated_is_no_cause", podAt(pending, unscheduled("SchedulingGated")), nil},
		{"no_container_statuses", podAt(failed), nil},
		{"deleted_while_running", podAt(failed, gone(time.Minute), main(ended("Error", 143, time.Minute+time.Second))), nil},
		{"killed_in_the_second_of_its_deletion", podAt(failed, gone(time.Minute), main(ended("Error", 137, time.Minute))), nil},
		{"out_of_memory_while_it_ends", podAt(failed, gone(time.Minute), main(ended("OOMKilled", 137, 2*time.Minute))), []string{"OOM"}},
		{"failed_before_its_deletion", podAt(failed, gone(2*time.Minute), main(ended("Error", 143, time.Minute))), []string{"APP_EXIT"}},
		{"restarted_before_its_deletion", podAt(failed, gone(time.Hour), main(ended("Error", 143, time.Hour)), last(ended("Error", 1, time.Minute))), []string{"APP_EXIT"}},
		{"evicted_and_deleted", podAt(failed, gone(time.Minute), disrupted("EvictionByEvictionAPI"), main(ended("Error", 143, time.Hour))), []string{"EVICTED"}},
		{"one_of_two_has_ended", podAt(running, gone(time.Minute), main(ended("Error", 143, time.Hour)), main(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})), nil},
		{"init_container_killed", podAt(failed, gone(time.Minute), initial(ended("Error", 143, time.Hour), nil), main(waiting("PodInitializing"))), nil},
		{"nobody_knows_how_it_ended", podAt(failed, gone(time.Minute), main(corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", ExitCode: 137},
		})), nil},
		{"two_containers", podAt(failed, main(ended("Error", 2, time.Minute)), main(ended("OOMKilled", 137, time.Minute))), []string{"APP_EXIT", "OOM"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, cause := range c.pod.Causes {
				got = append(got, job.CauseName(cause.Cause))
				if cause.At.Before(noon) || cause.Pod != "train-x7k2p" || cause.Node != "node-1" {
					t.Errorf("cause without its facts: %+v", cause)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
		})
	}
}

// A pod that ended of its deletion is cancelled: its phase is Failed all the same.
func TestMapper_Pod_outcome(t *testing.T) {
	t.Parallel()
	const cancelled, failed, succeeded = resiliencyv1.PhaseOutcome_PHASE_OUTCOME_CANCELLED,
		resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED
	killed := main(ended("Error", 143, time.Hour))
	ready := func(at time.Duration) func(*corev1.Pod) {
		return func(o *corev1.Pod) {
			o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{
				Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: after(at),
			})
		}
	}
	cases := []struct {
		name string
		pod  *Pod
		want resiliencyv1.PhaseOutcome
	}{
		{"deleted_while_running", podAt(corev1.PodFailed, gone(time.Minute), killed), cancelled},
		{"deleted_after_a_restart", podAt(corev1.PodFailed, gone(time.Minute), killed, last(ended("Error", 1, time.Second))), cancelled},
		{"deleted_before_it_had_a_container", podAt(corev1.PodFailed, gone(time.Minute), ready(time.Hour)), cancelled},
		{"deleted_while_it_was_prepared", podAt(corev1.PodFailed, gone(time.Minute), initial(ended("Error", 143, time.Hour), nil), ready(0)), cancelled},
		{"killed_for_another_reason", podAt(corev1.PodFailed, killed), failed},
		{"one_had_failed_before", podAt(corev1.PodFailed, gone(time.Minute), killed, main(ended("Error", 1, time.Second))), failed},
		{"out_of_memory_while_it_ends", podAt(corev1.PodFailed, gone(time.Minute), main(ended("OOMKilled", 137, time.Hour))), failed},
		{"evicted", podAt(corev1.PodFailed, gone(time.Minute), because("Evicted"), killed), failed},
		{"a_reason_that_nobody_knows", podAt(corev1.PodFailed, gone(time.Minute), because("ByARuntime"), killed), failed},
		{"removed_after_its_end", podAt(corev1.PodFailed, gone(time.Hour), ready(time.Minute)), failed},
		{"it_managed_to_end_well", podAt(corev1.PodSucceeded, gone(time.Minute), main(ended("Completed", 0, time.Hour))), succeeded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := must(t)(testMapper().Pod(c.pod, jobAt()))
			end := f.Phases[len(f.Phases)-1].GetEnded()
			if end == nil || end.GetOutcome() != c.want {
				t.Errorf("the last phase is %v, want the outcome %s", f.Phases[len(f.Phases)-1], c.want)
			}
		})
	}
}

// What a pod waits for is a step of the timeline, and a cause only if its Job
// ran out of time: one that waits for a node at first and then exits with 1 did
// not fail for lack of room.
func TestMapper_Pod_waitingIsACauseOnlyOfADeadline(t *testing.T) {
	t.Parallel()
	failing := func(reason string) *Job {
		return jobAt(condition(batchv1.JobFailureTarget, corev1.ConditionTrue, time.Hour), func(o *batchv1.Job) {
			o.Status.Conditions[0].Reason = reason
		})
	}
	p := podAt(corev1.PodPending, unscheduled("Unschedulable"))
	for _, owner := range []*Job{jobAt(), failing("BackoffLimitExceeded")} {
		f := must(t)(testMapper().Pod(p, owner))
		if len(f.Observations) != 0 || len(f.Phases) != 1 || f.Phases[0].GetName() != PhasePodWaiting {
			t.Errorf("%d observations, phases %v", len(f.Observations), f.Phases)
		}
	}
	f := must(t)(testMapper().Pod(p, failing("DeadlineExceeded")))
	if len(f.Observations) != 1 || f.Observations[0].Cause.Cause != job.CauseUnschedulable {
		t.Errorf("once its time is over: %+v", f.Observations)
	}
	if !p.Waiting() || podAt(corev1.PodRunning).Waiting() {
		t.Error("Waiting does not tell a waiting pod from a running one")
	}
}

func TestMapper_Pod_notOwned(t *testing.T) {
	t.Parallel()
	stray := podAt(corev1.PodRunning, func(o *corev1.Pod) { o.OwnerReferences = nil })
	for _, owner := range []*Job{nil, jobAt(), jobAt(func(o *batchv1.Job) { o.UID = "u-2" })} {
		if _, err := testMapper().Pod(stray, owner); err == nil {
			t.Errorf("a stray pod spoke for %v", owner)
		}
	}
	if _, err := testMapper().PodDeleted(podAt(corev1.PodRunning), jobAt(func(o *batchv1.Job) { o.UID = "u-2" })); err == nil {
		t.Error("a pod spoke for another life of its Job")
	}
}

package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
)

func holding(kind batchv1.JobConditionType, reason string) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		o.Status.Conditions = append(o.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: after(time.Minute),
		})
	}
}

func indexes(completed, failed string) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		o.Status.CompletedIndexes = completed
		if failed != "" {
			o.Status.FailedIndexes = &failed
		}
	}
}

func managedBy(controller string) func(*batchv1.Job) {
	return func(o *batchv1.Job) { o.Spec.ManagedBy = &controller }
}

// What the controllers make of Jobs in parts, and of those that are not theirs.
func TestMapper_Job_ends(t *testing.T) {
	t.Parallel()
	type told struct{ State, Cause, Completed, Failed string }
	run := started(time.Second, 1)
	cases := []struct {
		name    string
		job     *Job
		want    told
		partial bool
	}{
		{"an_index_failed_and_others_go_on", jobAt(run, indexes("0,2", "1")), told{State: "RUNNING"}, true},
		{"no_index_failed", jobAt(run, indexes("0-5", "")), told{State: "RUNNING"}, false},
		{"all_ended_and_one_failed", jobAt(run, indexes("0,2-9", "1"), holding("FailureTarget", "FailedIndexes"), holding("Failed", "FailedIndexes")),
			told{"FAILED", "FAILED_INDEXES", "0,2-9", "1"}, false},
		{"too_many_failed", jobAt(run, indexes("0", "1,3-5"), holding("FailureTarget", "MaxFailedIndexesExceeded"), holding("Failed", "MaxFailedIndexesExceeded")),
			told{"FAILED", "FAILED_INDEXES", "0", "1,3-5"}, false},
		{"bound_to_fail", jobAt(run, indexes("0", "1,3-5"), holding("FailureTarget", "MaxFailedIndexesExceeded")), told{State: "RUNNING"}, true},
		{"success_policy_with_failed_indexes", jobAt(run, indexes("0", "1-3"), holding("SuccessCriteriaMet", "SuccessPolicy"), holding("Complete", "SuccessPolicy")),
			told{"SUCCEEDED", "", "0", "1-3"}, false},
		{"elastic_job_loses_successes", jobAt(run, func(o *batchv1.Job) { o.Status.Succeeded, o.Status.Failed = 0, 3 }), told{State: "RUNNING"}, false},
		{"more_failures_than_the_limit_are_no_verdict", jobAt(run, func(o *batchv1.Job) {
			limit := int32(0)
			o.Spec.BackoffLimit, o.Status.Failed = &limit, 7
		}), told{State: "RUNNING"}, false},
		{"pending_to_failed_without_a_running_pod", jobAt(holding("Failed", "DeadlineExceeded")), told{State: "FAILED", Cause: "DEADLINE"}, false},
		{"pod_failure_policy", jobAt(run, holding("FailureTarget", "PodFailurePolicy"), holding("Failed", "PodFailurePolicy")),
			told{State: "FAILED", Cause: "POLICY"}, false},
		{"managed_by_another_with_a_reason_of_its_own", jobAt(managedBy("kueue.x-k8s.io/multikueue"), holding("Failed", "RemoteLost")),
			told{State: "FAILED", Cause: "OTHER"}, false},
		{"managed_by_another_and_complete_at_once", jobAt(managedBy("kueue.x-k8s.io/multikueue"), holding("Complete", "")),
			told{State: "SUCCEEDED"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := must(t)(testMapper().Job(c.job))
			var got told
			for _, o := range f.Observations {
				if o.Kind == job.KindStatus {
					got.State = job.StateName(o.State)
					if o.Cause.Cause != job.CauseUnspecified {
						got.Cause = job.CauseName(o.Cause.Cause)
					}
				}
			}
			partial := false
			for _, p := range f.Phases {
				partial = partial || p.GetName() == PhaseIndexFailed
				if n := p.GetName(); n == phaseCondition+"Complete" || n == phaseCondition+"Failed" {
					got.Completed, got.Failed = p.GetDetails()["completed_indexes"], p.GetDetails()["failed_indexes"]
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || partial != c.partial {
				t.Errorf("partial failure told: %v, want %v\n%s", partial, c.partial, diff)
			}
		})
	}
}

// However many indexes fail, one after the other, it is one phase.
func TestMapper_Job_partialFailureIsToldOnce(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, failed := range []string{"1", "1,3", "1,3-5"} {
		for _, p := range must(t)(testMapper().Job(jobAt(started(time.Second, 1), indexes("0", failed)))).Phases {
			ids[p.GetEventId()] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d phases, want 1", len(ids))
	}
}

func TestMapper_Pod_index(t *testing.T) {
	t.Parallel()
	yes := true
	p := ReadPod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "train-3-x", Namespace: "ml", UID: "p-1", CreationTimestamp: after(0),
			Annotations:     map[string]string{batchv1.JobCompletionIndexAnnotation: "3"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "train", UID: "u-1", Controller: &yes}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &metav1.Time{Time: noon}},
	})
	for _, phase := range must(t)(testMapper().Pod(p, jobAt())).Phases {
		if phase.GetDetails()["index"] != "3" {
			t.Errorf("%s does not tell the index: %v", phase.GetName(), phase.GetDetails())
		}
	}
}

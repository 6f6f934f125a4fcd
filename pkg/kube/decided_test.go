package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
)

func TestMapper_Decided(t *testing.T) {
	t.Parallel()
	target := condition(batchv1.JobFailureTarget, corev1.ConditionTrue, time.Hour)
	met := condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, time.Hour)
	cases := []struct {
		name string
		job  *Job
		want []job.State
		done bool
	}{
		{"lives", jobAt(started(0, 1)), nil, false},
		{"bound_to_fail", jobAt(target), []job.State{job.StateFailed}, false},
		{"bound_to_succeed", jobAt(met), []job.State{job.StateSucceeded}, false},
		{"a_stage_follows", jobAt(met, annotate(AnnotationStageFinal, "false")), []job.State{job.StateRunning}, true},
		{"not_any_more", jobAt(condition(batchv1.JobFailureTarget, corev1.ConditionFalse, time.Hour)), nil, false},
		{"has_ended", jobAt(target, condition(batchv1.JobFailed, corev1.ConditionTrue, time.Hour)), nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := testMapper().Decided(c.job)
			if err != nil {
				t.Fatal(err)
			}
			var got []job.State
			for _, o := range f.Observations {
				got = append(got, o.State)
				if o.StageDone != c.done || !o.OccurredAt.Equal(noon.Add(time.Hour)) {
					t.Errorf("got %+v", o)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			head, err := testMapper().Head(c.job)
			if err != nil || head.JobID != "j-17" || head.Kubernetes.UID != "u-1" || head.Kind != 0 {
				t.Errorf("head %+v, %v", head, err)
			}
		})
	}
	if _, err := testMapper().Head(&Job{}); err == nil {
		t.Error("an object without uid has a head")
	}
}

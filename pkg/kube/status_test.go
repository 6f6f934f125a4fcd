package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// jobAt is a Job created at noon, edited.
func jobAt(edits ...func(*batchv1.Job)) *Job {
	o := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "train", Namespace: "ml", UID: "u-1", Generation: 1,
		CreationTimestamp: metav1.NewTime(noon),
		Labels:            map[string]string{LabelJobID: "j-17"},
		Annotations:       map[string]string{},
	}}
	for _, edit := range edits {
		edit(o)
	}
	return ReadJob(o)
}

func after(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(d)) }

func started(at time.Duration, ready int32) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		t := after(at)
		o.Status.StartTime, o.Status.Ready = &t, &ready
	}
}

func condition(kind batchv1.JobConditionType, status corev1.ConditionStatus, at time.Duration) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		o.Status.Conditions = append(o.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: status, LastTransitionTime: after(at),
		})
	}
}

func suspend(v bool, generation int64) func(*batchv1.Job) {
	return func(o *batchv1.Job) { o.Spec.Suspend, o.Generation = &v, generation }
}

func annotate(k, v string) func(*batchv1.Job) {
	return func(o *batchv1.Job) { o.Annotations[k] = v }
}

func TestMapper_Job_states(t *testing.T) {
	t.Parallel()
	yes, no := corev1.ConditionTrue, corev1.ConditionFalse
	cases := []struct {
		name  string
		job   *Job
		state string
		at    time.Duration
		gen   int64
	}{
		{"just_created", jobAt(), "PENDING", 0, 1},
		{"started_but_no_pod_ready", jobAt(started(time.Second, 0)), "PENDING", 0, 1},
		{"pending_keeps_the_first_generation", jobAt(started(time.Second, 0), suspend(false, 4)), "PENDING", 0, 1},
		{"pod_ready", jobAt(started(time.Second, 1)), "RUNNING", time.Second, 1},
		{"pod_failed_and_none_ready", jobAt(started(time.Second, 0), func(o *batchv1.Job) { o.Status.Failed = 1 }), "RUNNING", time.Second, 1},
		{"pod_ended_and_not_counted_yet", jobAt(started(time.Second, 0), func(o *batchv1.Job) {
			o.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"p"}}
		}), "RUNNING", time.Second, 1},
		{"clock_of_the_controller_behind", jobAt(started(-3*time.Second, 1)), "RUNNING", 0, 1},
		{"suspended", jobAt(suspend(true, 2), started(time.Second, 1), condition(batchv1.JobSuspended, yes, time.Minute)), "SUSPENDED", time.Minute, 2},
		{"suspension_asked_for", jobAt(suspend(true, 2), started(time.Second, 1)), "", 0, 0},
		{"created_suspended_and_not_seen_yet", jobAt(suspend(true, 1)), "PENDING", 0, 1},
		{"resume_asked_for", jobAt(suspend(false, 3), condition(batchv1.JobSuspended, yes, time.Minute)), "", 0, 0},
		{"resumed_without_pod", jobAt(suspend(false, 3), started(2*time.Minute, 0), condition(batchv1.JobSuspended, no, 2*time.Minute)), "PENDING", 2 * time.Minute, 3},
		{"resumed_with_pod", jobAt(suspend(false, 3), started(2*time.Minute, 1), condition(batchv1.JobSuspended, no, 2*time.Minute)), "RUNNING", 2 * time.Minute, 3},
		{"start_time_older_than_resume", jobAt(suspend(false, 3), started(time.Second, 1), condition(batchv1.JobSuspended, no, 2*time.Minute)), "RUNNING", 2 * time.Minute, 3},
		{"success_criteria_met", jobAt(started(time.Second, 0), condition(batchv1.JobSuccessCriteriaMet, yes, time.Minute), func(o *batchv1.Job) { o.Status.Succeeded = 1 }), "RUNNING", time.Second, 1},
		{"complete", jobAt(started(time.Second, 0), condition(batchv1.JobComplete, yes, time.Minute)), "SUCCEEDED", time.Minute, 0},
		{"complete_while_asked_to_suspend", jobAt(suspend(true, 2), started(time.Second, 0), condition(batchv1.JobComplete, yes, time.Minute)), "SUCCEEDED", time.Minute, 0},
		{"failed", jobAt(started(time.Second, 0), condition(batchv1.JobFailed, yes, time.Minute)), "FAILED", time.Minute, 0},
		{"failed_false_is_no_failure", jobAt(started(time.Second, 1), condition(batchv1.JobFailed, no, time.Minute)), "RUNNING", time.Second, 1},
		{"stage_done", jobAt(annotate(AnnotationStageFinal, "false"), condition(batchv1.JobComplete, yes, time.Minute)), "RUNNING", time.Minute, 1},
		{"failed_in_a_stage_that_is_not_final", jobAt(annotate(AnnotationStageFinal, "false"), condition(batchv1.JobFailed, yes, time.Minute)), "FAILED", time.Minute, 0},
		{"complete_without_times", jobAt(started(time.Minute, 0), func(o *batchv1.Job) {
			o.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: yes}}
		}), "SUCCEEDED", time.Minute, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := must(t)(testMapper().Job(c.job))
			if c.state == "" {
				if got := states(f); got != nil {
					t.Fatalf("claims %v, want none", got)
				}
				return
			}
			if got := states(f); len(got) != 1 || got[0] != c.state {
				t.Fatalf("claims %v, want %s", got, c.state)
			}
			o := f.Observations[0]
			if !o.OccurredAt.Equal(noon.Add(c.at)) || o.Generation != c.gen {
				t.Errorf("at %v generation %d, want %v and %d", o.OccurredAt.Sub(noon), o.Generation, c.at, c.gen)
			}
			if job.Terminal(o.State) != (o.Evidence == job.EvidenceCondition) {
				t.Errorf("state %v with evidence %v", o.State, o.Evidence)
			}
		})
	}
}

// Whatever order the claims of suspend and resume within one second arrive in,
// the record shows the state of the last generation.
func TestMapper_Job_suspendAndResumeWithinOneSecond(t *testing.T) {
	t.Parallel()
	yes, no := corev1.ConditionTrue, corev1.ConditionFalse
	steps := []*Job{
		jobAt(started(0, 1)),
		jobAt(suspend(true, 2), started(0, 1)),
		jobAt(suspend(true, 2), started(0, 0), condition(batchv1.JobSuspended, yes, 0)),
		jobAt(suspend(false, 3), started(0, 0), condition(batchv1.JobSuspended, yes, 0)),
		jobAt(suspend(false, 3), started(0, 0), condition(batchv1.JobSuspended, no, 0)),
		jobAt(suspend(false, 3), started(0, 1), condition(batchv1.JobSuspended, no, 0)),
		jobAt(suspend(true, 4), started(0, 0), condition(batchv1.JobSuspended, yes, 0)),
	}
	want := []string{"RUNNING", "RUNNING", "SUSPENDED", "SUSPENDED", "PENDING", "RUNNING", "SUSPENDED"}
	for last := range steps {
		var forward, backward job.Record
		for i := 0; i <= last; i++ {
			apply(t, &forward, steps[i])
			apply(t, &backward, steps[last-i])
		}
		for _, r := range []*job.Record{&forward, &backward} {
			if got := job.StateName(r.View().State); got != want[last] {
				t.Errorf("after step %d: %s, want %s", last, got, want[last])
			}
		}
	}
}

func apply(t *testing.T, r *job.Record, j *Job) {
	t.Helper()
	f := must(t)(testMapper().Job(j))
	for i := range f.Observations {
		r.Apply(&f.Observations[i])
	}
}

func TestMapper_Job_refuses(t *testing.T) {
	t.Parallel()
	label := func(v string) func(*batchv1.Job) {
		return func(o *batchv1.Job) { o.Labels[LabelJobID] = v }
	}
	cases := []struct {
		name string
		edit func(*batchv1.Job)
		want error
	}{
		{"empty_label", label(""), ErrInvalidJobID},
		{"label_with_slash", label("a/b"), ErrInvalidJobID},
		{"label_too_long", label(strings.Repeat("a", 64)), ErrInvalidJobID},
		{"label_ends_with_dash", label("a-"), ErrInvalidJobID},
		{"no_labels", func(o *batchv1.Job) { o.Labels = nil }, ErrInvalidJobID},
		{"attempt_zero", annotate(AnnotationAttempt, "0"), ErrInvalidAttempt},
		{"attempt_101", annotate(AnnotationAttempt, "101"), ErrInvalidAttempt},
		{"attempt_word", annotate(AnnotationAttempt, "first"), ErrInvalidAttempt},
		{"attempt_huge", annotate(AnnotationAttempt, "99999999999999999999"), ErrInvalidAttempt},
		{"no_uid", func(o *batchv1.Job) { o.UID = "" }, ErrIncomplete},
		{"no_creation_time", func(o *batchv1.Job) { o.CreationTimestamp = metav1.Time{} }, ErrIncomplete},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := jobAt(c.edit)
			f, err := testMapper().Job(j)
			if !errors.Is(err, c.want) || len(f.Observations)+len(f.Phases) != 0 {
				t.Errorf("Job: %v with %d facts, want %v and none", err, len(f.Observations)+len(f.Phases), c.want)
			}
			if _, err := testMapper().Deleted(j, true); !errors.Is(err, c.want) {
				t.Errorf("Deleted: %v, want %v", err, c.want)
			}
		})
	}
}

func TestMapper_Job_description(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, key, value string
		kept             bool
	}{
		{"output", AnnotationOutputURI, "gs://bucket/a/b/", true},
		{"output_without_slash", AnnotationOutputURI, "gs://bucket/a", false},
		{"output_bare_bucket", AnnotationOutputURI, "gs://bucket/", false},
		{"output_double_slash", AnnotationOutputURI, "gs://bucket//", false},
		{"output_bucket_upper_case", AnnotationOutputURI, "gs://Bucket/a/", false},
		{"output_too_long", AnnotationOutputURI, "gs://bucket/" + strings.Repeat("a", 1024) + "/", false},
		{"output_not_utf8", AnnotationOutputURI, "gs://bucket/\xff/", false},
		{"owner", AnnotationOwner, "vision team", true},
		{"owner_too_long", AnnotationOwner, strings.Repeat("a", 257), false},
		{"correlation_with_newline", AnnotationCorrelationID, "a\nb", false},
		{"correlation_not_utf8", AnnotationCorrelationID, "a\xff", false},
		{"stage_final_word", AnnotationStageFinal, "yes", false},
		{"stage_final_true", AnnotationStageFinal, "true", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := must(t)(testMapper().Job(jobAt(annotate(c.key, c.value))))
			if c.kept != (len(f.Notes) == 0) {
				t.Fatalf("notes %v, kept should be %v", f.Notes, c.kept)
			}
			if !c.kept && f.Notes[0].Key != c.key {
				t.Errorf("note on %s, want %s", f.Notes[0].Key, c.key)
			}
			o := f.Observations[0]
			values := map[string]string{
				AnnotationOutputURI: o.OutputURI, AnnotationOwner: o.Owner, AnnotationCorrelationID: o.CorrelationID,
			}
			if got, ok := values[c.key]; ok && (got == c.value) != c.kept {
				t.Errorf("%s became %q", c.key, got)
			}
		})
	}
}

func TestMapper_Job_failureReasons(t *testing.T) {
	t.Parallel()
	want := map[string]job.Cause{
		"BackoffLimitExceeded":     job.CauseBackoffLimit,
		"DeadlineExceeded":         job.CauseDeadline,
		"PodFailurePolicy":         job.CausePolicy,
		"FailedIndexes":            job.CauseFailedIndexes,
		"MaxFailedIndexesExceeded": job.CauseFailedIndexes,
		"SomethingOfAnOperator":    job.CauseOther,
		"":                         job.CauseOther,
	}
	got := map[string]job.Cause{}
	for reason := range want {
		j := jobAt(condition(batchv1.JobFailed, corev1.ConditionTrue, time.Minute), func(o *batchv1.Job) {
			o.Status.Conditions[0].Reason = reason
		})
		got[reason] = must(t)(testMapper().Job(j)).Observations[0].Cause.Cause
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}

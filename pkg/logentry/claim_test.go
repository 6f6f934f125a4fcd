package logentry

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func claimOf(t *testing.T, fixture string, r *job.Record) (job.Observation, bool) {
	t.Helper()
	s := read(t, fixtures(t)[fixture]).Event.Statement()
	return s.Claim(r)
}

// What an end means is for the declaration on the Job to say, and nothing is
// claimed where nobody read it.
func TestClaim_CompletedMeansWhatTheJobDeclares(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		end   job.StageEnd
		ok    bool
		state job.State
		done  bool
	}{
		{"final stage", job.StageEndsJob, true, job.StateSucceeded, false},
		{"stage before others", job.StageGoesOn, true, job.StateRunning, true},
		{"unknown", job.StageEndUnknown, false, job.StateRunning, false},
	}
	for _, tc := range cases {
		r := recordOf(tc.end)
		o, ok := claimOf(t, "job_Completed", r)
		if ok != tc.ok {
			t.Errorf("%s: claims %v, want %v", tc.name, ok, tc.ok)
		}
		if ok {
			r.Apply(&o)
		}
		if v := r.View(); v.State != tc.state || v.StageDone != tc.done || v.Attempt != 2 {
			t.Errorf("%s: record says %s, stage done %v, attempt %d", tc.name, v.State, v.StageDone, v.Attempt)
		}
	}
}

func TestClaim_FailureIsOneWhateverTheStage(t *testing.T) {
	t.Parallel()
	for _, end := range []job.StageEnd{job.StageEndUnknown, job.StageEndsJob, job.StageGoesOn} {
		r := recordOf(end)
		o, ok := claimOf(t, "job_DeadlineExceeded", r)
		if !ok || r.Apply(&o) != job.OutcomeApplied {
			t.Fatalf("end %d: claims %v", end, ok)
		}
		v := r.View()
		if v.State != job.StateFailed || v.Evidence != job.EvidenceCondition || v.Cause.Cause != job.CauseDeadline {
			t.Errorf("end %d: record says %+v", end, v)
		}
	}
}

// jobObject is the fixtures' Job as the watchers see it at its end.
func jobObject(condition batchv1.JobConditionType, reason, message string, when time.Time) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: fixtureName, Namespace: "etl", UID: fixtureUID, Generation: 1, CreationTimestamp: metav1.NewTime(created),
			Labels:      map[string]string{kube.LabelJobID: "j-42"},
			Annotations: map[string]string{kube.AnnotationAttempt: "2", kube.AnnotationCorrelationID: "req-1", kube.AnnotationOwner: "ann"},
		},
		Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{
			Type: condition, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(when),
		}}},
	}
}

// With the watcher first, as it is while all is well, the Event of the same end
// changes nothing, so it costs no write: neither in the same second nor in the
// next one, when the Event was recorded late.
func TestClaim_TheEventOfAKnownEndIsARepeat(t *testing.T) {
	t.Parallel()
	mapper := kube.Mapper{Cluster: "batch-1", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER}
	ended := at(t, "2026-11-21T10:42:10Z")
	objects := map[string]*batchv1.Job{
		"job_Completed": jobObject(batchv1.JobComplete, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods", ended),
		"job_BackoffLimitExceeded": jobObject(batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded,
			"Job has reached the specified backoff limit", ended),
	}
	for name, object := range objects {
		for _, late := range []time.Duration{0, time.Second} {
			object.Status.Conditions[0].LastTransitionTime = metav1.NewTime(ended.Add(-late))
			facts, err := mapper.Job(kube.ReadJob(object))
			if err != nil {
				t.Fatal(err)
			}
			r := recordOf(job.StageEndsJob)
			r.Apply(&facts.Observations[0])
			o, ok := claimOf(t, name, r)
			if !ok {
				t.Fatalf("%s claims nothing", name)
			}
			before := *r
			if outcome := r.Apply(&o); outcome.Changed() || !r.Equal(&before) {
				t.Errorf("%s %s after the condition: %s", name, late, outcome)
			}
			if same := o.EventID == facts.Observations[0].EventID; same != (late == 0) {
				t.Errorf("%s %s after the condition: ids are the same: %v", name, late, same)
			}
		}
	}
}

// With the Event first the watchers still have the last word on time and detail,
// and the user is told once: state and life are the same.
func TestClaim_TheWatcherAfterTheEventTellsTheSameLife(t *testing.T) {
	t.Parallel()
	mapper := kube.Mapper{Cluster: "batch-1", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER}
	r := recordOf(job.StageEndsJob)
	o, _ := claimOf(t, "job_Completed", r)
	r.Apply(&o)
	byEvent := r.Status
	facts, err := mapper.Job(kube.ReadJob(jobObject(batchv1.JobComplete, "CompletionsReached", "Reached", at(t, "2026-11-21T10:42:09Z"))))
	if err != nil {
		t.Fatal(err)
	}
	if outcome := r.Apply(&facts.Observations[0]); outcome != job.OutcomeApplied {
		t.Errorf("outcome %s", outcome)
	}
	if r.Status.Life != byEvent.Life || r.Status.State != byEvent.State || r.Status.Detail != "Complete=True (CompletionsReached): Reached" {
		t.Errorf("by the Event %+v\nby the watcher %+v", byEvent, r.Status)
	}
}

func TestClaim_LifeOfTheRecord(t *testing.T) {
	t.Parallel()
	stage := func(o *job.Observation) { o.Ordinal, o.Stage = 35, "training" }
	if o, _ := claimOf(t, "job_BackoffLimitExceeded", recordOf(0, stage)); o.Ordinal != 35 || o.Stage != "training" {
		t.Errorf("stage of the record is lost: %d %s", o.Ordinal, o.Stage)
	}
	// A record that begins with a cause knows the life by it.
	cause := func(o *job.Observation) {
		o.Kind, o.Cause.Cause, o.Ordinal, o.Stage = job.KindCause, job.CauseOOM, 35, "training"
	}
	if o, _ := claimOf(t, "job_BackoffLimitExceeded", recordOf(0, cause)); o.Ordinal != 35 {
		t.Errorf("stage of the cause is lost: %d", o.Ordinal)
	}
	// A cancel of the whole job must not lend its rank to the Job.
	r := recordOf(job.StageEndsJob, func(o *job.Observation) {
		o.Ordinal, o.Stage, o.State, o.Evidence = job.OrdinalWholeJob, "", job.StateCancelled, job.EvidenceStated
	})
	o, _ := claimOf(t, "job_Completed", r)
	if outcome := r.Apply(&o); o.Ordinal != job.OrdinalKubernetes || outcome.Changed() || r.View().State != job.StateCancelled {
		t.Errorf("a cancelled job ends as %s (%s)", job.StateName(r.View().State), outcome)
	}
}

func TestClaim_DisruptedPodIsACauseAndNoStatus(t *testing.T) {
	t.Parallel()
	r := recordOf(job.StageEndsJob)
	status := r.Status
	o, ok := claimOf(t, "pod_Preempted", r)
	if !ok || r.Apply(&o) != job.OutcomeApplied {
		t.Fatalf("claims %v: %+v", ok, o)
	}
	if r.Status != status || r.Cause.Cause != job.CausePreempted || r.Cause.Life != status.Life {
		t.Errorf("status %+v, cause %+v", r.Status, r.Cause)
	}
	for _, silent := range []string{"job_Suspended", "job_SuccessfulCreate", "pod_FailedScheduling"} {
		if o, ok := claimOf(t, silent, r); ok {
			t.Errorf("%s claims %+v", silent, o)
		}
	}
}

func TestBelongs_NeedsMoreThanTheUID(t *testing.T) {
	t.Parallel()
	k := &recordOf(0).Kubernetes.Kubernetes
	object := Object{Namespace: "etl", Name: fixtureName, UID: fixtureUID}
	if !Belongs(&object, k) {
		t.Error("the Job itself does not belong")
	}
	for name, other := range map[string]Object{
		"another namespace": {Namespace: "other", Name: fixtureName, UID: fixtureUID},
		"another name":      {Namespace: "etl", Name: "x", UID: fixtureUID},
		"another UID":       {Namespace: "etl", Name: fixtureName, UID: "u"},
		"no UID":            {Namespace: "etl", Name: fixtureName},
	} {
		if Belongs(&other, k) {
			t.Errorf("%s belongs", name)
		}
	}
}

func TestStatement_Future(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]bool{-time.Hour: false, 10 * time.Minute: false, 11 * time.Minute: true} {
		s := Statement{At: now.Add(ahead)}
		if got, is := s.Future(now, 10*time.Minute); is != want || got != ahead {
			t.Errorf("%s ahead: %v, %v", ahead, got, is)
		}
	}
}

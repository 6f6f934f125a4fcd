//go:build integration

package e2e

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

func TestJobsBecomeTrueRecords(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "records", updater, streamer)
	jobs := 200
	if soak() {
		jobs = 2000
	}
	d := s.drive(drive.Plan{Prefix: "r", Scenarios: drive.Standard(jobs), PerSecond: 50})
	if err := d.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
}

// create makes one Job whose job id is its name.
func (s *system) create(spec stack.JobSpec) *batchv1.Job {
	s.t.Helper()
	spec.Namespace = s.Namespace
	if spec.JobID == "" {
		spec.JobID = spec.Name
	}
	j, err := shared.Kube().BatchV1().Jobs(s.Namespace).Create(s.t.Context(), stack.Job(spec), metav1.CreateOptions{})
	if err != nil {
		s.t.Fatalf("create job %s: %v", spec.Name, err)
	}
	return j
}

func (s *system) remove(name string) {
	s.t.Helper()
	background := metav1.DeletePropagationBackground
	err := shared.Kube().BatchV1().Jobs(s.Namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		s.t.Fatalf("delete job %s: %v", name, err)
	}
}

// A Job recreated under its name is a new life: what the first one came to no
// longer counts, nor does its cause.
func TestJobRecreatedUnderItsName(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "again", updater, streamer)
	s.create(stack.JobSpec{Name: "again", Outcome: stack.OutcomeOOM})
	first := s.awaitState("again", drive.Failed)
	if first["cause"] != "OOM" {
		s.eventually("the cause of the first life", func() (bool, string) {
			cause, _ := s.document("again")["cause"].(string)
			return cause == "OOM", cause
		})
	}
	s.remove("again")
	// Kubernetes gives creation times in whole seconds, and the later one speaks.
	pass(t, time.Until(time.Now().Truncate(time.Second).Add(time.Second+10*time.Millisecond)))
	second := s.create(stack.JobSpec{Name: "again", Outcome: stack.OutcomeSucceed})
	doc := s.awaitState("again", drive.Succeeded)
	kubernetes, _ := doc["kubernetes"].(map[string]any)
	if kubernetes["uid"] != string(second.UID) {
		t.Errorf("the record names uid %v, the second Job has %s", kubernetes["uid"], second.UID)
	}
	if cause := doc["cause"]; cause != nil && cause != "" && cause != "UNSPECIFIED" {
		t.Errorf("the record of a Job that succeeded names cause %v", cause)
	}
}

// A label taken away looks like a deletion to a watch with a selector, and is
// none.
func TestRemovedLabelIsNoDeletion(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "label", updater, streamer)
	// A Job that loses its last label gets its pod template's labels back, so it
	// has another one.
	s.create(stack.JobSpec{Name: "unlabelled", Outcome: stack.OutcomeHang, Labels: map[string]string{"team": "a"}})
	s.create(stack.JobSpec{Name: "deleted", Outcome: stack.OutcomeHang})
	s.awaitState("unlabelled", "RUNNING")
	s.awaitState("deleted", "RUNNING")
	patch := []byte(`{"metadata":{"labels":{"resiliency.envision.dev/job-id":null}}}`)
	if _, err := shared.Kube().BatchV1().Jobs(s.Namespace).Patch(t.Context(), "unlabelled", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// The other Job is deleted afterwards: once its end is on record, the first
	// one's change has been seen too.
	s.eventually("the streamer to count the removed label", func() (bool, string) {
		n := s.metric(streamer, "event_streamer_deletions_total", map[string]string{"outcome": "unlabelled"})
		return n == 1, formatFloat(n)
	})
	s.remove("deleted")
	s.awaitState("deleted", drive.Cancelled)
	if state := s.document("unlabelled")["state"]; state != "RUNNING" {
		t.Errorf("the Job without its label is recorded as %v, want RUNNING", state)
	}
}

func TestStageThatIsNotTheLast(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "stage", updater, streamer)
	s.create(stack.JobSpec{Name: "not-last", Outcome: stack.OutcomeSucceed, NotFinal: true})
	s.eventually("the stage to be done", func() (bool, string) {
		doc := s.document("not-last")
		done, _ := doc["stage_done"].(bool)
		state, _ := doc["state"].(string)
		return done && state == "RUNNING", state
	})
}

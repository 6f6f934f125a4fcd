package demo

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/drive"
)

// A worker that takes up what has moved on would run a job twice. Without a
// publisher one that tried would panic.
func TestCommand_is_refused_when_the_job_has_moved_on(t *testing.T) {
	t.Parallel()
	resume := func(stage string, expected int32, notAfter time.Time) *resiliencyv1.JobCommand {
		return &resiliencyv1.JobCommand{
			JobId: "j", Stage: &resiliencyv1.Stage{Name: stage}, ExpectedAttempt: expected, NotAfter: timestamppb.New(notAfter),
			Event: &resiliencyv1.JobCommand_ResumeRequested{ResumeRequested: &resiliencyv1.JobResumeRequested{NewAttempt: expected + 1}},
		}
	}
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	for name, c := range map[string]*resiliencyv1.JobCommand{
		"another attempt": resume(job.StageFaceDetection, 1, later),
		"too late":        resume(job.StageFaceDetection, 2, before),
		"another stage":   resume(job.StageBackend, 2, later),
	} {
		p := &product{attempts: map[string]int32{"j": 2}}
		if err := p.command(t.Context(), c, messaging.Meta{}); err != nil || p.attempts["j"] != 2 {
			t.Errorf("%s: %v, job is in attempt %d", name, err, p.attempts["j"])
		}
	}
	err := (&product{}).command(t.Context(), &resiliencyv1.JobCommand{JobId: "j"}, messaging.Meta{})
	if !resilience.IsPermanent(err) {
		t.Errorf("a command of an unknown kind: %v", err)
	}
}

func TestTold_counts_each_update_once(t *testing.T) {
	t.Parallel()
	told := newTold()
	send := func(id string, u *resiliencyv1.JobUpdate) {
		t.Helper()
		u.EventId, u.JobId = id, "j"
		if err := told.update(t.Context(), u, messaging.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	send("1", &resiliencyv1.JobUpdate{Event: &resiliencyv1.JobUpdate_Running{}})
	send("2", &resiliencyv1.JobUpdate{Event: &resiliencyv1.JobUpdate_Delayed{}})
	for range 2 {
		send("3", &resiliencyv1.JobUpdate{Event: &resiliencyv1.JobUpdate_Succeeded{}})
	}
	if err := told.expect(t.Context(), []string{"j"}, toldDelayed, drive.Succeeded); err != nil {
		t.Error(err)
	}
}

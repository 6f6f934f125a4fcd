//go:build integration

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/drive"
)

// command asks for a new run of a job's stage.
func command(jobID string, decided time.Time) *resiliencyv1.JobCommand {
	return &resiliencyv1.JobCommand{
		EventId: job.EventID("e2e", "command", jobID), OccurredAt: timestamppb.New(decided), JobId: jobID,
		Attempt: 1, ExpectedAttempt: 1, Stage: &resiliencyv1.Stage{Name: "backend", Ordinal: 10},
		Source: resiliencyv1.Source_SOURCE_RECOVERY_JOB, Reason: "silent for too long",
		NotAfter: timestamppb.New(decided.Add(time.Hour)),
		Event:    &resiliencyv1.JobCommand_ResumeRequested{ResumeRequested: &resiliencyv1.JobResumeRequested{NewAttempt: 2}},
	}
}

// refuseCommands is a worker that takes no command, until the test ends.
func (s *system) refuseCommands() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(topology.SubscriptionJobCommandsProduct).Receive(ctx, func(_ context.Context, m *pubsub.Message) { m.Nack() })
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive commands: %v", err)
		}
	})
}

// A command that no worker takes fails its job, for whoever commanded counts on
// it, and its user is told. A job that has ended meanwhile is left alone, and a
// later sign of life reopens one that was failed.
func TestCommandThatReachesNobody(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "command", updater)
	s.startHandler()
	told := s.collectUpdates()
	phases := s.collectPhases()
	const silent, ended = "silent", "has-ended"
	s.publish(silent, wire(t, fact(silent)))
	s.publish(ended, wire(t, fact(ended)))
	s.publish(ended, wire(t, fact(ended, succeeded)))
	s.awaitState(silent, "RUNNING")
	s.awaitState(ended, drive.Succeeded)

	decided := time.Now()
	s.refuseCommands()
	for _, id := range []string{silent, ended} {
		data, err := proto.Marshal(command(id, decided))
		if err != nil {
			t.Fatal(err)
		}
		s.send(topology.TopicJobCommands, data, map[string]string{"type": "envision.resiliency.v1.JobCommand", "job_id": id})
	}
	doc := s.awaitState(silent, drive.Failed)
	verdict, _ := doc["verdict"].(map[string]any)
	if verdict["evidence"] != "ASSUMED" || doc["cause"] != "UNDELIVERABLE" {
		t.Errorf("the job is failed with verdict %v and cause %v, want ASSUMED and UNDELIVERABLE", verdict, doc["cause"])
	}
	l := s.awaitLetter(silent, "to be cleaned up", finished)
	s.expectLetter(&l, topology.SubscriptionJobCommandsProduct, "envision.resiliency.v1.JobCommand", "retryable")
	if l.Cleanup.Action != "job_failed" || l.Attempts < 5 || !strings.Contains(l.Detail.Decoded, "resume_requested") {
		t.Errorf("letter of the command: %+v", l)
	}
	phases.expect(s, silent, l.ID, l.Reason)
	if l := s.awaitLetter(ended, "to be cleaned up", finished); l.Cleanup.Action != "job_moved_on" {
		t.Errorf("clean-up of a job that had ended is %q: %s", l.Cleanup.Action, l.Cleanup.Text)
	}
	s.awaitState(ended, drive.Succeeded)
	told.expectFailure(s, silent)

	// Somebody was alive after all.
	s.publish(silent, wire(t, fact(silent, func(e *resiliencyv1.JobEvent) {
		e.OccurredAt = timestamppb.New(decided.Add(time.Second))
	})))
	s.awaitState(silent, "RUNNING")
}

// expectFailure waits until the product has been told that the job failed.
func (u *updates) expectFailure(s *system, jobID string) {
	s.t.Helper()
	s.eventually("an update that job "+jobID+" failed", func() (bool, string) {
		u.mu.Lock()
		defer u.mu.Unlock()
		kinds := []string{}
		for _, data := range u.contents {
			update := new(resiliencyv1.JobUpdate)
			if proto.Unmarshal(data, update) == nil && update.GetJobId() == jobID {
				name := update.ProtoReflect().WhichOneof(update.ProtoReflect().Descriptor().Oneofs().ByName("event")).Name()
				kinds = append(kinds, string(name))
			}
		}
		return slices.Contains(kinds, "failed"), strings.Join(kinds, ", ")
	})
}

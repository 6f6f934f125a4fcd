package fact

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	claim := func(kind job.Kind) job.Observation {
		return job.Observation{
			EventID: "e", OccurredAt: at, JobID: "j-17", Attempt: 2, CorrelationID: "req-1", Kind: kind,
			State: job.StateRunning, LastState: job.StatePending, Cause: job.CauseDetail{Cause: job.CauseOOM},
		}
	}
	facts := From(&kube.Facts{
		Observations: []job.Observation{
			claim(job.KindStatus), claim(job.KindCause), claim(job.KindVanished), claim(job.KindDelay),
		},
		Phases: []*resiliencyv1.PhaseEvent{{
			EventId: "e", OccurredAt: timestamppb.New(at), JobId: "j-17", Attempt: 2, CorrelationId: "req-1", Name: "pod.scheduled",
		}},
	})
	want := []struct{ kind, label, message string }{
		{KindStatus, "RUNNING", "JobEvent"},
		{KindCause, "OOM", "JobEvent"},
		{KindVanished, "PENDING", "JobEvent"},
		{KindDelay, "RUNNING", "JobEvent"},
		{KindPhase, "pod.scheduled", "PhaseEvent"},
	}
	if len(facts) != len(want) {
		t.Fatalf("%d facts, want %d", len(facts), len(want))
	}
	for i, w := range want {
		f := facts[i]
		if f.Kind() != w.kind || f.Label() != w.label || string(f.Message().ProtoReflect().Descriptor().Name()) != w.message {
			t.Errorf("fact %d is %s %s, want %v", i, f.Kind(), f.Label(), w)
		}
		if f.EventID() != "e" || f.JobID() != "j-17" || f.Attempt() != 2 || f.CorrelationID() != "req-1" || !f.OccurredAt().Equal(at) {
			t.Errorf("fact %d lost its head: %+v", i, f)
		}
		if f.Key() != "e/j-17/2" {
			t.Errorf("fact %d has key %s", i, f.Key())
		}
	}
}

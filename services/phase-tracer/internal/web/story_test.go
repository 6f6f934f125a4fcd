package web_test

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// at is a moment some seconds after the beginning of every story.
func at(seconds float64) time.Time {
	return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

type alter = func(*resiliencyv1.PhaseEvent)

func event(stage, name string, seconds float64, alter ...alter) timeline.Phase {
	ordinal := map[string]int32{"backend": 10, "face-detection": 20, "kubernetes": 30}
	e := &resiliencyv1.PhaseEvent{
		OccurredAt: timestamppb.New(at(seconds)), JobId: "render-7", Attempt: 1, Name: name,
		Stage: &resiliencyv1.Stage{Name: stage, Ordinal: ordinal[stage]}, Source: resiliencyv1.Source_SOURCE_SDK,
	}
	for _, a := range alter {
		a(e)
	}
	e.EventId = fmt.Sprintf("%s/%s/%g/%d/%T", stage, name, seconds, e.GetSequence(), e.GetEvent())
	return timeline.Phase{Event: e, Witnesses: []timeline.Witness{{Source: job.SourceName(e.GetSource()), ReceivedAt: at(seconds + 0.2)}}}
}

func began(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
}

func done(o resiliencyv1.PhaseOutcome, cause *resiliencyv1.CauseDetail) alter {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{Outcome: o, Cause: cause}}
	}
}

func well(e *resiliencyv1.PhaseEvent) {
	done(resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, nil)(e)
}

func oom() *resiliencyv1.CauseDetail {
	code := int32(137)
	return &resiliencyv1.CauseDetail{
		Cause: resiliencyv1.Cause_CAUSE_OOM, Message: "the container used more memory than its limit", Reason: "OOMKilled",
		Pod: "render-7-x2k9p", Container: "main", ExitCode: &code, Node: "node-4",
	}
}

// recorded is that cause as the record has it.
func recorded() job.CauseDetail {
	c := oom()
	return job.CauseDetail{
		Cause: c.GetCause(), Message: c.GetMessage(), Reason: c.GetReason(), Pod: c.GetPod(), Container: c.GetContainer(),
		ExitCode: c.ExitCode, Node: c.GetNode(),
	}
}

func noted(level resiliencyv1.NoteLevel, source resiliencyv1.Source, message string) alter {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Message, e.Source = message, source
		e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Level: level}}
	}
}

func captured(tail string) alter {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Source = resiliencyv1.Source_SOURCE_EVENT_STREAMER
		e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{
			Pod: "render-7-x2k9p", Node: "node-4", PodStatusJson: `{"phase":"Failed","reason":"OOMKilled"}`,
			Logs: []*resiliencyv1.ContainerLog{{Container: "main", Tail: tail, Truncated: true}},
			Events: []*resiliencyv1.KubernetesNote{{
				At: timestamppb.New(at(600)), Object: "Pod/render-7-x2k9p", Type: "Warning", Reason: "OOMKilling", Message: "Memory cgroup out of memory",
			}},
		}}
	}
}

// failedStory is a job that passed backend and face detection and ran out of
// memory at Kubernetes.
func failedStory() *timeline.Input {
	in := &timeline.Input{
		JobID: "render-7",
		Record: &timeline.Record{
			View: job.View{
				State: job.StateFailed, Evidence: job.EvidenceCondition, Final: true, Attempt: 1, Stage: "kubernetes", Ordinal: 30,
				OccurredAt: at(605), Detail: "Job has reached the specified backoff limit",
				Cause: recorded(),
			},
			Owner: "ana@example.com", Tenant: "studio", CorrelationID: "upload-81", Revision: 5, UpdatedAt: at(606), UpdatedBy: "status-updater-1",
			Kubernetes: job.Kubernetes{Cluster: "gke-1", Namespace: "studio", Name: "render-7", UID: "0b5c"},
		},
		Phases: []timeline.Phase{
			event("backend", "receive-upload", 0, began), event("backend", "receive-upload", 12, well),
			event("backend", "split-frames", 12, began), event("backend", "split-frames", 95, well),
			event("face-detection", "load-model", 100, began), event("face-detection", "load-model", 118, well),
			event("face-detection", "detect", 118, began), event("face-detection", "detect", 402, well),
			event("kubernetes", "pod.scheduled", 410, noted(resiliencyv1.NoteLevel_NOTE_LEVEL_INFO, resiliencyv1.Source_SOURCE_EVENT_STREAMER, "scheduled on node-4")),
			event("kubernetes", "render", 415, began),
			event("kubernetes", "render", 600, done(resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, oom())),
			event("kubernetes", "pod.failed", 601, captured("frame 1811 of 2400\nallocate 512 MiB: killed\n")),
			event("kubernetes", "job.condition.Failed", 605,
				noted(resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR, resiliencyv1.Source_SOURCE_EVENT_STREAMER, "Failed: BackoffLimitExceeded")),
		},
		Updates: []timeline.Update{{SentAt: at(607), Event: &resiliencyv1.JobUpdate{
			EventId: "u-5", OccurredAt: timestamppb.New(at(605)), JobId: "render-7", Revision: 5, State: job.StateFailed,
			Evidence: resiliencyv1.Evidence_EVIDENCE_CONDITION, Text: "Your job failed: it ran out of memory.",
			Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER, Event: &resiliencyv1.JobUpdate_Failed{Failed: &resiliencyv1.JobFailed{}},
		}}},
		Letters: []timeline.Letter{{
			ID: "l-abcdef0123", State: "OPEN", Subscription: "job-events-status-updater", Reason: "commit job render-7: contention",
			Category: "retryable", Count: 2, FirstSeenAt: at(500), LastSeenAt: at(550),
		}},
		Stored: 14,
	}
	last := &in.Phases[len(in.Phases)-1]
	last.Witnesses = append(last.Witnesses, timeline.Witness{Source: "LOG_WITNESS", Reporter: "witness-0", ReceivedAt: at(606)})
	return in
}

// runningStory is the same job while it renders.
func runningStory() *timeline.Input {
	in := failedStory()
	in.Record.View = job.View{State: job.StateRunning, Attempt: 1, Stage: "kubernetes", Ordinal: 30, OccurredAt: at(415)}
	in.Phases, in.Updates, in.Letters = in.Phases[:10], nil, nil
	in.Phases = append(in.Phases, event("kubernetes", "render", 500, func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Progressed{Progressed: &resiliencyv1.PhaseProgressed{Done: 1200, Total: 2400, Unit: "frames"}}
	}))
	return in
}

// longStory is a job of n phases in three stages, some of the same name.
func longStory(n int) *timeline.Input {
	in := failedStory()
	in.Phases = nil
	stages := []string{"backend", "face-detection", "kubernetes"}
	for i := range n {
		stage, name := stages[min(3*(i+1)/n, 2)], fmt.Sprintf("step-%d", i)
		if i%2 == 0 {
			name = "batch"
		}
		number := func(e *resiliencyv1.PhaseEvent) { e.Sequence = int64(i) }
		in.Phases = append(in.Phases, event(stage, name, float64(2*i), began, number), event(stage, name, float64(2*i)+1.5, well, number))
	}
	last := &in.Phases[len(in.Phases)-1]
	done(resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, oom())(last.Event)
	return in
}

func build(in *timeline.Input) *timeline.Timeline {
	t := timeline.Build(in, now())
	return &t
}

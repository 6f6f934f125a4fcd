//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Jobs that the pages of timelines are looked at with.
const (
	jobFailed    = "render-7718"
	jobLong      = "train-0093"
	jobOddTexts  = "hostile-2"
	longPhases   = 500
	storyMinutes = 14 // how long the failed job took
)

// teller publishes what a story says.
type teller struct {
	s      *system
	phases *pubsub.Publisher
	events *pubsub.Publisher
	sent   []*pubsub.PublishResult
}

// tellTimelines publishes the phases of some jobs as their stages would have over
// the last minutes, and waits until they are on record.
func (s *system) tellTimelines() {
	s.t.Helper()
	tell := &teller{s: s, phases: s.pubsub.Publisher(topology.TopicJobPhases), events: s.pubsub.Publisher(topology.TopicJobEvents)}
	defer tell.phases.Stop()
	defer tell.events.Stop()
	tell.failed(time.Now().Add(-20 * time.Minute).Truncate(time.Minute))
	tell.long(time.Now().Add(-time.Hour))
	tell.odd(time.Now().Add(-10 * time.Minute))
	for _, r := range tell.sent {
		if _, err := r.Get(s.t.Context()); err != nil {
			s.t.Fatalf("publish the story: %v", err)
		}
	}
	for id, state := range map[string]string{jobFailed: "FAILED", jobLong: "SUCCEEDED", jobOddTexts: "FAILED"} {
		s.awaitState(id, state)
	}
	s.eventually("all phases of the long job", func() (bool, string) {
		n := len(s.traced(s.services[tracer], jobLong).names("kubernetes"))
		return n >= longPhases, fmt.Sprint(n)
	})
	s.eventually("the capsule", func() (bool, string) {
		return len(s.traced(s.services[tracer], jobFailed).Capsules) == 1, ""
	})
}

func ordinalOf(stage string) int32 {
	return map[string]int32{"backend": job.OrdinalBackend, "face-detection": job.OrdinalFaceDetection, "kubernetes": job.OrdinalKubernetes}[stage]
}

func (t *teller) phase(id, stage, name string, at time.Time, edit func(*resiliencyv1.PhaseEvent)) {
	e := &resiliencyv1.PhaseEvent{
		OccurredAt: timestamppb.New(at), JobId: id, Attempt: 1, Name: name, CorrelationId: "upload-" + id,
		Stage: &resiliencyv1.Stage{Name: stage, Ordinal: ordinalOf(stage)}, Source: resiliencyv1.Source_SOURCE_SDK, Reporter: stage + "-0",
	}
	edit(e)
	e.EventId = job.EventID("story", id, stage, name, at.String(), fmt.Sprintf("%T", e.GetEvent()))
	data, err := proto.Marshal(e)
	if err != nil {
		t.s.t.Fatal(err)
	}
	t.sent = append(t.sent, t.phases.Publish(t.s.t.Context(), &pubsub.Message{Data: data}))
}

// step is a phase from its start to its end.
func (t *teller) step(id, stage, name string, from, to time.Time, cause *resiliencyv1.CauseDetail) {
	t.phase(id, stage, name, from, func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
	})
	t.phase(id, stage, name, to, func(e *resiliencyv1.PhaseEvent) {
		ended := &resiliencyv1.PhaseEnded{Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED, Cause: cause}
		if cause != nil {
			ended.Outcome = resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED
		}
		e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: ended}
	})
}

func (t *teller) note(id, name, message string, at time.Time, level resiliencyv1.NoteLevel) {
	t.phase(id, "kubernetes", name, at, func(e *resiliencyv1.PhaseEvent) {
		e.Message, e.Source, e.Reporter = message, resiliencyv1.Source_SOURCE_EVENT_STREAMER, "event-streamer-0"
		e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Level: level}}
	})
}

// end is the job's end as the cluster tells it.
func (t *teller) end(id string, state job.State, at time.Time, edit func(*resiliencyv1.JobEvent)) {
	e := &resiliencyv1.JobEvent{
		EventId: job.EventID("story", id, job.StateName(state)), OccurredAt: timestamppb.New(at), JobId: id, Attempt: 1,
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: job.OrdinalKubernetes}, CorrelationId: "upload-" + id,
		Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Description: &resiliencyv1.JobDescription{Owner: "ana@example.com", Tenant: "studio"},
		Kubernetes: &resiliencyv1.KubernetesRef{
			Cluster: "gke-1", Namespace: "studio", Name: id, Uid: job.EventID("uid", id), CreatedAt: timestamppb.New(at.Add(-10 * time.Minute)),
		},
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{State: state, Evidence: job.EvidenceCondition}},
	}
	edit(e)
	data, err := proto.Marshal(e)
	if err != nil {
		t.s.t.Fatal(err)
	}
	t.sent = append(t.sent, t.events.Publish(t.s.t.Context(), &pubsub.Message{Data: data}))
}

func outOfMemory(pod string) *resiliencyv1.CauseDetail {
	return &resiliencyv1.CauseDetail{
		Cause: job.CauseOOM, Message: "the container used more memory than its limit of 8 GiB", Reason: "OOMKilled", Pod: pod, Container: "render",
		ExitCode: new(int32(137)), Node: "node-4",
	}
}

// failed is a job that passed backend and face detection and ran out of memory.
func (t *teller) failed(zero time.Time) {
	at := func(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }
	const pod = jobFailed + "-x2k9p"
	for _, p := range []struct {
		stage, name string
		from, to    float64
	}{
		{"backend", "receive-upload", 0, 24}, {"backend", "check-format", 24, 31}, {"backend", "split-frames", 31, 128},
		{"face-detection", "load-model", 134, 171}, {"face-detection", "detect-faces", 171, 446}, {"face-detection", "track-faces", 305, 462},
		{"kubernetes", "pull-assets", 481, 540}, {"kubernetes", "load-scene", 540, 612},
	} {
		t.step(jobFailed, p.stage, p.name, at(p.from), at(p.to), nil)
	}
	t.note(jobFailed, "pod.scheduled", "Pod "+pod+" was scheduled on node-4.", at(470), resiliencyv1.NoteLevel_NOTE_LEVEL_INFO)
	t.step(jobFailed, "kubernetes", "render", at(612), at(storyMinutes*60-4), outOfMemory(pod))
	t.phase(jobFailed, "kubernetes", "pod.failed", at(storyMinutes*60-3), func(e *resiliencyv1.PhaseEvent) {
		e.Source, e.Message = resiliencyv1.Source_SOURCE_EVENT_STREAMER, "Pod "+pod+" failed: container render was OOMKilled."
		e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{
			Pod: pod, Node: "node-4", PodStatusJson: `{"phase":"Failed","containerStatuses":[{"name":"render","state":{"terminated":{"exitCode":137}}}]}`,
			Logs: []*resiliencyv1.ContainerLog{{Container: "render", Truncated: true, Tail: strings.Join([]string{
				"frame 1809 of 2400: 5 faces, 412 ms", "frame 1810 of 2400: 6 faces, 431 ms", "frame 1811 of 2400: 148 faces, 9871 ms",
				"warning: face cache holds 7.6 GiB", "allocate 512 MiB for frame 1812",
			}, "\n")}},
			Events: []*resiliencyv1.KubernetesNote{{
				At: timestamppb.New(at(storyMinutes*60 - 4)), Object: "Pod/" + pod, Type: "Warning", Reason: "OOMKilling", Count: 1,
				Message: "Memory cgroup out of memory: killed process 41 (render)",
			}},
		}}
	})
	failed := "Failed: BackoffLimitExceeded. Job has reached the specified backoff limit."
	t.note(jobFailed, "job.condition.Failed", failed, at(storyMinutes*60), resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR)
	t.end(jobFailed, job.StateFailed, at(storyMinutes*60), func(e *resiliencyv1.JobEvent) {
		e.GetStatusObserved().Cause, e.GetStatusObserved().Detail = outOfMemory(pod), "Job has reached the specified backoff limit"
	})
}

// long is a job of many phases.
func (t *teller) long(zero time.Time) {
	for n := range longPhases {
		from := zero.Add(time.Duration(n) * 2 * time.Second)
		t.step(jobLong, "kubernetes", fmt.Sprintf("epoch-%03d", n), from, from.Add(1900*time.Millisecond), nil)
	}
	t.end(jobLong, job.StateSucceeded, zero.Add(2*longPhases*time.Second), func(*resiliencyv1.JobEvent) {})
}

// odd is a job that says what would do something on a page that does not expect it.
func (t *teller) odd(at time.Time) {
	for n, text := range hostileTexts() {
		name := strings.ToValidUTF8(text[:min(len(text), 100)], "")
		t.phase(jobOddTexts, "kubernetes", name, at.Add(time.Duration(n)*time.Second), func(e *resiliencyv1.PhaseEvent) {
			e.Message, e.Details, e.Reporter = text, map[string]string{name: text}, name
			e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{
				Pod: name, Node: name, PodStatusJson: text, Incomplete: text, Logs: []*resiliencyv1.ContainerLog{{Container: name, Tail: text}},
			}}
		})
	}
	t.end(jobOddTexts, job.StateFailed, at.Add(time.Minute), func(e *resiliencyv1.JobEvent) {
		all := strings.Join(hostileTexts(), " ")
		c := e.GetStatusObserved()
		c.Detail, c.Cause = all, &resiliencyv1.CauseDetail{Cause: job.CauseAppExit, Message: all, Pod: "p"}
		e.Description.Owner = "ana@example.com <b>"
	})
}

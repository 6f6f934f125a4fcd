package logentry

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func running() *resiliencyv1.JobEvent {
	return &resiliencyv1.JobEvent{
		EventId: "e", OccurredAt: timestamppb.New(created), JobId: "j-42", Attempt: 1,
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30}, Source: resiliencyv1.Source_SOURCE_LOG_WITNESS,
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: resiliencyv1.JobState_JOB_STATE_RUNNING, Generation: 1 << 60,
		}},
	}
}

// A line has been through Cloud Logging, which keeps numbers as floats.
func TestJobEvent_SurvivesTheLog(t *testing.T) {
	t.Parallel()
	line, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(running())
	if err != nil {
		t.Fatal(err)
	}
	var through any
	if err := json.Unmarshal(line, &through); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(map[string]any{
		"logName": "projects/p/logs/stdout", "resource": map[string]any{"type": "k8s_container"},
		"jsonPayload": map[string]any{"job_event": through, "message": "m"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, again).JobEvent()
	if err != nil || !proto.Equal(got, running()) {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestJobEvent_OddLines(t *testing.T) {
	t.Parallel()
	head := `"event_id":"e","job_id":"j","attempt":1,"occurred_at":"2026-11-21T10:00:00Z"`
	now := created.Add(time.Hour)
	cases := []struct {
		name string
		line string
		// undecodable is what reading says, refused and unknown what jobevent says.
		undecodable, refused, unknown bool
	}{
		{"well", `{` + head + `,"status_observed":{"state":"JOB_STATE_RUNNING"}}`, false, false, false},
		{"JSON names", `{` + head + `,"statusObserved":{"state":"JOB_STATE_RUNNING"}}`, false, false, false},
		{"floats", `{"attempt":1.0,"job_id":"j","occurred_at":"2026-11-21T10:00:00Z","status_observed":{"state":3}}`, false, false, false},
		{"fields of a later release", `{` + head + `,"colour":"red","status_observed":{"state":"JOB_STATE_RUNNING","mood":1}}`, false, false, false},
		{"an event of a later release", `{` + head + `,"progress_made":{"done":1}}`, false, false, true},
		{"a state of a later release", `{` + head + `,"status_observed":{"state":"JOB_STATE_PAUSED"}}`, false, true, false},
		{"no event", `{` + head + `}`, false, true, false},
		{"nothing", `{}`, false, true, false},
		{"text", `"RUNNING"`, true, false, false},
		{"a broken time", `{"occurred_at":"soon"}`, true, false, false},
		{"a number too large", `{"attempt":1e30}`, true, false, false},
		{"two events", `{"vanished":{},"cause_found":{}}`, true, false, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := &Entry{Kind: KindJobEvent, Line: json.RawMessage(tc.line)}
			event, err := e.JobEvent()
			if errors.Is(err, ErrUndecodable) != tc.undecodable {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			_, err = jobevent.Decode(event, now)
			if unknown := errors.Is(err, jobevent.ErrUnknownEvent); unknown != tc.unknown || (err != nil && !unknown) != tc.refused {
				t.Errorf("decoded %v, error %v", event, err)
			}
		})
	}
}

func TestPhaseEvent_Line(t *testing.T) {
	t.Parallel()
	e := &Entry{Kind: KindPhaseEvent, Line: json.RawMessage(`{"job_id":"j","name":"load","started":{},"details":{"a":"b"},"new":1}`)}
	p, err := e.PhaseEvent()
	if err != nil || p.GetName() != "load" || p.GetStarted() == nil || p.GetDetails()["a"] != "b" {
		t.Errorf("%v, error %v", p, err)
	}
	e.Line = json.RawMessage(`{"details":7}`)
	if _, err := e.PhaseEvent(); !errors.Is(err, ErrUndecodable) {
		t.Errorf("error %v", err)
	}
}

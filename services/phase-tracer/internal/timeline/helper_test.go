package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var zero = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// at is a moment some seconds after the beginning of every test.
func at(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }

var ordinal = map[string]int32{"backend": 10, "face-detection": 20, "kubernetes": 30}

// phase is an event of a stage, with its id made of what it says.
func phase(stage, name string, seconds float64, alter ...func(*resiliencyv1.PhaseEvent)) Phase {
	e := &resiliencyv1.PhaseEvent{
		OccurredAt: timestamppb.New(at(seconds)), JobId: "j-1", Attempt: 1, Name: name,
		Stage: &resiliencyv1.Stage{Name: stage, Ordinal: ordinal[stage]}, Source: resiliencyv1.Source_SOURCE_SDK,
	}
	for _, a := range alter {
		a(e)
	}
	e.EventId = fmt.Sprintf("%s/%s/%g/%d/%d/%T", stage, name, seconds, e.GetAttempt(), e.GetSequence(), e.GetEvent())
	return Phase{Event: e, Witnesses: []Witness{{Source: job.SourceName(e.GetSource())}}}
}

func started(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
}

func progressed(done float64) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Progressed{Progressed: &resiliencyv1.PhaseProgressed{Done: done, Total: 10, Unit: "frames"}}
	}
}

func ended(o resiliencyv1.PhaseOutcome) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{Outcome: o}}
	}
}

func succeeded(e *resiliencyv1.PhaseEvent) {
	ended(resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED)(e)
}

func failed(c job.Cause) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{
			Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, Cause: &resiliencyv1.CauseDetail{Cause: c, Message: "as it was"},
		}}
	}
}

func noted(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR}}
}

func attempt(n int32) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) { e.Attempt = n }
}

func sequence(n int64) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) { e.Sequence = n }
}

// status is the record of a job in a state of stage kubernetes.
func status(s job.State, e job.Evidence, seconds float64) *Record {
	return &Record{
		View:     job.View{State: s, Evidence: e, Final: job.Final(s, e), Attempt: 1, Stage: "kubernetes", Ordinal: 30, OccurredAt: at(seconds)},
		Owner:    "ana",
		Revision: 3,
	}
}

// show writes lanes and spans in a form that a test can compare.
func show(t *Timeline) string {
	var b strings.Builder
	for _, l := range t.Lanes {
		fmt.Fprintf(&b, "%d %s %s\n", l.Attempt, l.Stage, l.State)
		for _, s := range l.Spans {
			fmt.Fprintf(&b, "  %s#%d %s %g-%g", s.Name, s.Sequence, s.State, s.Start.Sub(zero).Seconds(), s.End.Sub(zero).Seconds())
			if s.Duration != nil {
				fmt.Fprintf(&b, " took %s", *s.Duration)
			}
			for _, m := range s.Marks {
				fmt.Fprintf(&b, " %s", m)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func wantShown(t *testing.T, got *Timeline, want string) {
	t.Helper()
	if shown := show(got); shown != want {
		t.Errorf("timeline:\n%s\nwant:\n%s", shown, want)
	}
}

package timeline

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestBuild_Reads(t *testing.T) {
	t.Parallel()
	ok := status(job.StateSucceeded, job.EvidenceCondition, 100)
	running := status(job.StateRunning, 0, 0)
	cases := []struct {
		name   string
		record *Record
		phases []Phase
		want   string
	}{
		{"a_phase", ok, []Phase{phase("kubernetes", "load", 1, started), phase("kubernetes", "load", 4, succeeded)},
			"1 kubernetes ended\n  load#0 succeeded 1-4 took 3s\n"},
		{"end_alone", ok, []Phase{phase("kubernetes", "load", 4, succeeded)},
			"1 kubernetes ended\n  load#0 succeeded 4-4 start_missing\n"},
		{"progress_and_end", ok, []Phase{phase("kubernetes", "load", 4, succeeded), phase("kubernetes", "load", 2, progressed(1))},
			"1 kubernetes ended\n  load#0 succeeded 2-4 start_missing\n"},
		{"progress_alone", running, []Phase{phase("kubernetes", "load", 2, progressed(1))},
			"1 kubernetes running\n  load#0 running 2-200 start_missing\n"},
		{"open", running, []Phase{phase("kubernetes", "load", 1, started)},
			"1 kubernetes running\n  load#0 running 1-200\n"},
		{"open_of_an_ended_job", ok, []Phase{phase("kubernetes", "load", 1, started)},
			"1 kubernetes unfinished\n  load#0 unfinished 1-100 end_missing\n"},
		{"open_in_an_earlier_stage", running, []Phase{phase("backend", "load", 1, started), phase("backend", "save", 3, noted)},
			"1 backend unfinished\n  load#0 unfinished 1-3 end_missing\n  save#0 error 3-3\n"},
		{"open_in_an_earlier_attempt", &Record{View: job.View{State: job.StateRunning, Attempt: 2, Stage: "backend", Ordinal: 10}},
			[]Phase{phase("kubernetes", "load", 1, started)}, "1 kubernetes unfinished\n  load#0 unfinished 1-1 end_missing\n"},
		{"no_record", nil, []Phase{phase("kubernetes", "load", 1, started)}, "1 kubernetes running\n  load#0 running 1-200\n"},
		{"negative", ok, []Phase{phase("kubernetes", "load", 5, started), phase("kubernetes", "load", 2, succeeded)},
			"1 kubernetes ended\n  load#0 succeeded 5-5 negative_duration\n"},
		{"twice", ok, []Phase{
			phase("kubernetes", "load", 1, started), phase("kubernetes", "load", 2, failed(job.CauseAppExit)),
			phase("kubernetes", "load", 3, started), phase("kubernetes", "load", 9, succeeded),
		}, "1 kubernetes failed\n  load#0 failed 1-2 took 1s repeated\n  load#0 succeeded 3-9 took 6s repeated\n"},
		{"twice_one_end_lost", ok, []Phase{
			phase("kubernetes", "load", 1, started), phase("kubernetes", "load", 3, started), phase("kubernetes", "load", 9, succeeded),
		}, "1 kubernetes unfinished\n  load#0 succeeded 1-9 took 8s repeated\n  load#0 unfinished 3-100 repeated end_missing\n"},
		{"one_start_lost", ok, []Phase{
			phase("kubernetes", "load", 2, succeeded), phase("kubernetes", "load", 3, started), phase("kubernetes", "load", 9, succeeded),
		}, "1 kubernetes ended\n  load#0 succeeded 2-2 start_missing repeated\n  load#0 succeeded 3-9 took 6s repeated\n"},
		{"numbered", ok, []Phase{
			phase("kubernetes", "step", 1, started), phase("kubernetes", "step", 2, started, sequence(1)),
			phase("kubernetes", "step", 3, succeeded, sequence(1)), phase("kubernetes", "step", 4, succeeded),
		}, "1 kubernetes ended\n  step#0 succeeded 1-4 took 3s\n  step#1 succeeded 2-3 took 1s\n"},
		{"same_second", ok, []Phase{phase("kubernetes", "load", 1, succeeded), phase("kubernetes", "load", 1, started)},
			"1 kubernetes ended\n  load#0 succeeded 1-1 took 0s\n"},
		{"order", ok, []Phase{
			phase("kubernetes", "c", 30, noted), phase("face-detection", "b", 20, noted), phase("backend", "a", 10, noted),
			phase("backend", "again", 40, noted, attempt(2)),
		}, "1 backend ended\n  a#0 error 10-10\n1 face-detection ended\n  b#0 error 20-20\n1 kubernetes ended\n  c#0 error 30-30\n" +
			"2 backend ended\n  again#0 error 40-40\n"},
		{"clock_never_set", ok, []Phase{phase("backend", "a", -1e9, started), phase("backend", "a", 5, succeeded), phase("kubernetes", "b", 7, noted)},
			"1 backend ended\n  a#0 succeeded 7-7 far_off\n1 kubernetes ended\n  b#0 error 7-7\n"},
		{"unknown_kind", ok, []Phase{phase("kubernetes", "new", 1)}, "1 kubernetes ended\n  new#0 info 1-1 unknown_kind\n"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := Build(&Input{JobID: "j-1", Record: tc.record, Phases: tc.phases}, at(200))
			wantShown(t, &got, tc.want)
		})
	}
}

func TestBuild_Clocks(t *testing.T) {
	t.Parallel()
	early := phase("kubernetes", "load", 2, started)
	early.Witnesses = []Witness{{Source: "SDK", ReceivedAt: at(-8)}}
	got := Build(&Input{JobID: "j-1", Phases: []Phase{phase("backend", "a", 10, noted), early}}, at(20))
	if got.Lanes[1].Skew != 8*time.Second || got.Begin != at(2) || got.End != at(20) {
		t.Errorf("skew %s, axis %s to %s", got.Lanes[1].Skew, got.Begin, got.End)
	}
	if !got.Lanes[1].Spans[0].Has(MarkClockAhead) {
		t.Error("a phase that was received before it happened is not marked")
	}
	var codes []string
	for _, w := range got.Warnings {
		codes = append(codes, w.Code)
	}
	if !slices.Equal(codes, []string{"clock_ahead", "clock_skew"}) {
		t.Errorf("warnings %v", got.Warnings)
	}
	if want := "Stage kubernetes begins 8s before stage backend"; !strings.Contains(got.Warnings[1].Text, want) {
		t.Errorf("%q lacks %q", got.Warnings[1].Text, want)
	}
}

// A repeat by the other witness is one span with both.
func TestBuild_Witnesses(t *testing.T) {
	t.Parallel()
	a := phase("kubernetes", "job.condition.Failed", 3, noted)
	a.Witnesses = []Witness{{Source: "EVENT_STREAMER", ReceivedAt: at(4)}}
	b := a
	b.Witnesses = []Witness{{Source: "LOG_WITNESS", ReceivedAt: at(9)}, {Source: "EVENT_STREAMER", ReceivedAt: at(5)}}
	got := Build(&Input{Phases: []Phase{b, a}}, at(20))
	want := []Witness{{Source: "EVENT_STREAMER", ReceivedAt: at(4)}, {Source: "LOG_WITNESS", ReceivedAt: at(9)}}
	if diff := cmp.Diff(want, got.Lanes[0].Spans[0].Witnesses); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
	if len(got.Facts) != 1 || len(got.Facts[0].Witnesses) != 2 || len(got.Sources) != 2 || got.Sources[1].Events != 1 {
		t.Errorf("facts %+v, sources %+v", got.Facts, got.Sources)
	}
}

func TestBuild_Bounded(t *testing.T) {
	t.Parallel()
	const n = 100_000
	in := &Input{Record: status(job.StateFailed, job.EvidenceCondition, n), Stored: 2 * n}
	for i := range n / 2 {
		in.Phases = append(in.Phases,
			phase("kubernetes", "step", float64(i), started, sequence(int64(i))), phase("kubernetes", "step", float64(i)+1, succeeded, sequence(int64(i))))
	}
	in.Phases[3] = phase("kubernetes", "step", 2, failed(job.CauseOOM), sequence(1))
	got := Build(in, at(n))
	if got.Cut.Drawn != MaxSpans || got.Cut.Spans != n/2 || len(got.Lanes[0].Spans) != MaxSpans {
		t.Errorf("cut %+v", got.Cut)
	}
	for _, want := range []string{"Of 200000 stored phases 100000 were read", "Of 50000 phases 1000 are drawn"} {
		if !strings.Contains(got.Cut.Text, want) {
			t.Errorf("%q lacks %q", got.Cut.Text, want)
		}
	}
	if got.Lanes[0].Spans[0].Sequence != 1 || got.Stop.SpanID != got.Lanes[0].Spans[0].ID {
		t.Errorf("what failed is not drawn: first %+v, stop %+v", got.Lanes[0].Spans[0], got.Stop)
	}
}

// A time that is none, as an older release may have stored it, is left out: JSON could
// not hold it, and the page of the job would be gone with it.
func TestBuild_OddTimes(t *testing.T) {
	t.Parallel()
	odd := &timestamppb.Timestamp{Seconds: 1 << 60}
	got := Build(&Input{Phases: []Phase{
		phase("kubernetes", "pod.capsule", 1, func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{
				Events: []*resiliencyv1.KubernetesNote{{Reason: "OOMKilling", At: odd}},
			}}
		}),
		phase("kubernetes", "job.judged", 2, func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{Rule: "r", NextCheckAt: odd}}
		}),
	}}, at(9))
	if _, err := json.Marshal(&got); err != nil {
		t.Error(err)
	}
	if len(got.Capsules) != 1 || len(got.Capsules[0].Events) != 1 || len(got.Judgements) != 1 {
		t.Errorf("capsules %+v, judgements %+v", got.Capsules, got.Judgements)
	}
}

// That old reports of progress were not read is worth no word: newer ones tell more.
func TestBuild_OlderProgressIsNoGap(t *testing.T) {
	t.Parallel()
	in := &Input{Record: status(job.StateRunning, 0, 1), Stored: 900, OlderProgress: 898, Phases: []Phase{
		phase("kubernetes", "render", 1, started), phase("kubernetes", "render", 899, progressed(9)),
	}}
	if got := Build(in, at(900)).Cut; got.Text != "" || got.Stored != 900 || got.OlderProgress != 898 {
		t.Errorf("cut %+v", got)
	}
	in.OlderProgress = 700
	if got := Build(in, at(900)).Cut; !strings.Contains(got.Text, "Of 200 stored phases 2 were read") {
		t.Errorf("cut %+v", got)
	}
}

func TestBuild_Kept(t *testing.T) {
	t.Parallel()
	with := func(event func(e *resiliencyv1.PhaseEvent)) func(*resiliencyv1.PhaseEvent) { return event }
	in := &Input{
		Record:  status(job.StateFailed, job.EvidenceCondition, 9),
		Letters: []Letter{{ID: "l-1", State: "OPEN", Count: 3, FirstSeenAt: at(4)}},
		Phases: []Phase{
			phase("kubernetes", "pod.failed", 5, with(func(e *resiliencyv1.PhaseEvent) {
				e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{
					Pod: "p", Logs: []*resiliencyv1.ContainerLog{{Container: "main", Tail: "out of memory\n", Truncated: true}}, Incomplete: "no events",
					Events: []*resiliencyv1.KubernetesNote{{At: timestamppb.New(at(4)), Object: "Pod/p", Type: "Warning", Reason: "BackOff", Count: 3}},
				}}
			})),
			phase("kubernetes", "recovery.judged", 6, with(func(e *resiliencyv1.PhaseEvent) {
				e.Message, e.Source = "It waits for room.", resiliencyv1.Source_SOURCE_RECOVERY_JOB
				e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{
					RunId: "r-1", Rule: "stuck", NextCheckAt: timestamppb.New(at(60)),
				}}
			})),
			phase("kubernetes", "job.corrected", 7, with(func(e *resiliencyv1.PhaseEvent) {
				e.Event = &resiliencyv1.PhaseEvent_Corrected{Corrected: &resiliencyv1.StatusCorrected{
					FromState: job.StateFailed, FromEvidence: job.EvidenceAssumed, ToState: job.StateRunning, Revision: 2,
				}}
			})),
			phase("kubernetes", "message.dead_lettered", 8, with(func(e *resiliencyv1.PhaseEvent) {
				e.Event = &resiliencyv1.PhaseEvent_DeadLettered{DeadLettered: &resiliencyv1.DeadLettered{LetterId: "l-1"}}
			})),
			phase("kubernetes", "message.dead_lettered", 8.5, with(func(e *resiliencyv1.PhaseEvent) {
				e.Event = &resiliencyv1.PhaseEvent_DeadLettered{DeadLettered: &resiliencyv1.DeadLettered{LetterId: "l-2", Reason: "bad"}}
			})),
		},
		Updates: []Update{
			{Event: &resiliencyv1.JobUpdate{EventId: "u-2", Revision: 3, State: job.StateFailed, Text: "It failed.", Event: &resiliencyv1.JobUpdate_Failed{}}},
			{Event: &resiliencyv1.JobUpdate{EventId: "u-1", Revision: 1, State: job.StateRunning}},
			{Event: &resiliencyv1.JobUpdate{EventId: "u-1", Revision: 1, State: job.StateRunning}},
		},
	}
	got := Build(in, at(20))
	if len(got.Capsules) != 1 || got.Capsules[0].Logs[0].Tail != "out of memory\n" || got.Capsules[0].Incomplete == "" ||
		len(got.Capsules[0].Events) != 1 || got.Capsules[0].Events[0].At != at(4) || got.Capsules[0].Events[0].Count != 3 {
		t.Errorf("capsules %+v", got.Capsules)
	}
	if len(got.Judgements) != 1 || got.Judgements[0].NextCheckAt != at(60) || got.Judgements[0].Verdict != "" {
		t.Errorf("judgements %+v", got.Judgements)
	}
	if len(got.Corrections) != 1 || got.Corrections[0].FromEvidence != "ASSUMED" || got.Corrections[0].ToEvidence != "" {
		t.Errorf("corrections %+v", got.Corrections)
	}
	if len(got.Letters) != 2 || got.Letters[0].Count != 3 || got.Letters[1].ID != "l-2" {
		t.Errorf("letters %+v", got.Letters)
	}
	if len(got.Updates) != 2 || got.Updates[0].Kind != "unknown" || got.Updates[1].Kind != "failed" {
		t.Errorf("updates %+v", got.Updates)
	}
	if got.Live || got.Cut.Text != "" {
		t.Errorf("live %v, cut %q", got.Live, got.Cut.Text)
	}
}

// The order of the input never matters, nothing it may hold breaks the timeline,
// and what comes out can be sent as JSON.
func TestBuild_AnyInputInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := &Input{JobID: "j-1"}
		if rapid.Bool().Draw(t, "record") {
			in.Record = status(job.State(rapid.IntRange(0, 6).Draw(t, "state")), job.Evidence(rapid.IntRange(0, 6).Draw(t, "evidence")), 50)
		}
		for range rapid.IntRange(0, 30).Draw(t, "phases") {
			in.Phases = append(in.Phases, anyPhase(t))
		}
		shuffled := &Input{JobID: in.JobID, Record: in.Record, Phases: slices.Clone(in.Phases)}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(shuffled.Phases), func(i, j int) {
			shuffled.Phases[i], shuffled.Phases[j] = shuffled.Phases[j], shuffled.Phases[i]
		})
		now := at(rapid.Float64Range(-100, 1000).Draw(t, "now"))
		one, other := Build(in, now), Build(shuffled, now)
		if diff := cmp.Diff(one, other); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
		if _, err := json.Marshal(one); err != nil {
			t.Fatal(err)
		}
		sound(t, &one)
		for _, e := range []Explanation{Explain(&one, now)} {
			if e.Known == "" || e.Now == "" || e.Next == "" || e.Owner == "" {
				t.Fatalf("explanation %+v", e)
			}
		}
	})
}

// sound fails unless every span can be drawn.
func sound(t *rapid.T, line *Timeline) {
	ids := make(map[string]bool)
	for _, l := range line.Lanes {
		for _, s := range l.Spans {
			if s.End.Before(s.Start) || s.Start.Before(line.Begin) || s.End.After(line.End) || s.Duration != nil && *s.Duration < 0 {
				t.Fatalf("span %+v is outside of %s to %s", s, line.Begin, line.End)
			}
			if ids[s.ID] {
				t.Fatalf("id %s twice", s.ID)
			}
			ids[s.ID] = true
		}
	}
}

func anyPhase(t *rapid.T) Phase {
	kinds := []func(*resiliencyv1.PhaseEvent){
		started, succeeded, noted, failed(job.CauseOOM), progressed(math.NaN()), progressed(math.Inf(1)), func(*resiliencyv1.PhaseEvent) {},
	}
	p := phase(
		rapid.SampledFrom([]string{"", "backend", "face-detection", "kubernetes"}).Draw(t, "stage"),
		rapid.SampledFrom([]string{"a", "b", "<script>\u202e\x00"}).Draw(t, "name"),
		float64(rapid.SampledFrom([]int{-1e9, 0, 1, 2, 3, 50, 100}).Draw(t, "at")),
		rapid.SampledFrom(kinds).Draw(t, "kind"), attempt(rapid.Int32Range(1, 2).Draw(t, "attempt")),
	)
	p.Event = proto.CloneOf(p.Event)
	p.Event.EventId = rapid.StringMatching(`[a-f0-9]{16}`).Draw(t, "id")
	return p
}

package jobevent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// running is a message that keeps the contract; edits then break it.
func running(edits ...func(*resiliencyv1.JobEvent)) *resiliencyv1.JobEvent {
	e := &resiliencyv1.JobEvent{
		EventId: "e-1", OccurredAt: timestamppb.New(now), JobId: "j-17", Attempt: 1,
		Stage:       &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		Description: &resiliencyv1.JobDescription{Owner: "team"},
		Kubernetes:  &resiliencyv1.KubernetesRef{Cluster: "c", Namespace: "n", Name: "j", Uid: "u", CreatedAt: timestamppb.New(now)},
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: job.StateRunning, Generation: 1,
		}},
	}
	for _, edit := range edits {
		edit(e)
	}
	return e
}

func status(edit func(*resiliencyv1.JobStatusObserved)) func(*resiliencyv1.JobEvent) {
	return func(e *resiliencyv1.JobEvent) { edit(e.GetStatusObserved()) }
}

func TestDecode_refuses(t *testing.T) {
	t.Parallel()
	type event = resiliencyv1.JobEvent
	type claim = resiliencyv1.JobStatusObserved
	cases := []struct {
		name string
		edit func(*event)
		want string
	}{
		{"no job id", func(e *event) { e.JobId = "" }, "job id"},
		{"a path as job id", func(e *event) { e.JobId = "a/b" }, "job id"},
		{"dots as job id", func(e *event) { e.JobId = ".." }, "job id"},
		{"a job id of 64 bytes", func(e *event) { e.JobId = strings.Repeat("a", 64) }, "job id"},
		{"attempt 0", func(e *event) { e.Attempt = 0 }, "attempt 0"},
		{"attempt 101", func(e *event) { e.Attempt = 101 }, "attempt 101"},
		{"no time", func(e *event) { e.OccurredAt = nil }, "occurred_at is not set"},
		{"a time out of range", func(e *event) { e.OccurredAt = &timestamppb.Timestamp{Nanos: -1} }, "occurred_at"},
		{"the future", func(e *event) { e.OccurredAt = timestamppb.New(now.Add(11 * time.Minute)) }, "11m0s ahead"},
		{"a Job created in the future", func(e *event) {
			e.Kubernetes.CreatedAt = timestamppb.New(now.Add(time.Hour))
		}, "kubernetes.created_at"},
		{"an endless uid", func(e *event) { e.Kubernetes.Uid = strings.Repeat("u", 254) }, "254 bytes"},
		{"a negative ordinal", func(e *event) { e.Stage.Ordinal = -1 }, "ordinal"},
		{"a stage that is no name", func(e *event) { e.Stage.Name = "face detection" }, "stage"},
		{"no claim", func(e *event) { e.Event = nil }, "claims nothing"},
		{"no state", status(func(s *claim) { s.State = 0 }), "state 0"},
		{"an unknown state", status(func(s *claim) { s.State = 99 }), "state 99"},
		{"an unknown evidence", status(func(s *claim) { s.Evidence = 99 }), "evidence 99"},
		{"an end without evidence", status(func(s *claim) { s.State = job.StateFailed }), "without evidence"},
		{"a negative generation", status(func(s *claim) { s.Generation = -1 }), "generation"},
		{"a cause event without a cause", func(e *event) {
			e.Event = &resiliencyv1.JobEvent_CauseFound{CauseFound: &resiliencyv1.JobCauseFound{}}
		}, "no cause"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(running(c.edit), now)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one that says %q", err, c.want)
			}
			if !resilience.IsPermanent(err) {
				t.Errorf("%v is not permanent: it would be retried for nothing", err)
			}
		})
	}
}

func TestDecode_survives(t *testing.T) {
	t.Parallel()
	type event = resiliencyv1.JobEvent
	cases := []struct {
		name  string
		edit  func(*event)
		check func(job.Observation) bool
	}{
		{"ten minutes ahead", func(e *event) { e.OccurredAt = timestamppb.New(now.Add(10 * time.Minute)) },
			func(o job.Observation) bool { return o.OccurredAt.Equal(now.Add(10 * time.Minute)) }},
		{"an unknown cause", status(func(s *resiliencyv1.JobStatusObserved) {
			s.State, s.Evidence, s.Cause = job.StateFailed, job.EvidenceCondition, &resiliencyv1.CauseDetail{Cause: 99, Message: "m"}
		}), func(o job.Observation) bool { return o.Cause.Cause == job.CauseOther && o.Cause.Message == "m" }},
		{"evidence of what did not end", status(func(s *resiliencyv1.JobStatusObserved) { s.Evidence = job.EvidenceCondition }),
			func(o job.Observation) bool { return o.Evidence == job.EvidenceNone }},
		{"an end that says stage done", status(func(s *resiliencyv1.JobStatusObserved) {
			s.State, s.Evidence, s.StageDone = job.StateSucceeded, job.EvidenceCondition, true
		}), func(o job.Observation) bool { return !o.StageDone }},
		{"an unknown last state", func(e *event) {
			e.Event = &resiliencyv1.JobEvent_Vanished{Vanished: &resiliencyv1.JobVanished{LastState: 99}}
		}, func(o job.Observation) bool {
			return o.Kind == job.KindVanished && o.LastState == job.StateUnspecified
		}},
		{"nothing but the head and the claim", func(e *event) { e.Stage, e.Kubernetes, e.Description = nil, nil, nil },
			func(o job.Observation) bool { return o.State == job.StateRunning && o.Stage == "" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := Decode(running(c.edit), now)
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(o) {
				t.Errorf("decoded as %+v", o)
			}
		})
	}
}

// A case of the oneof that a later release adds is, on the wire, a field that
// this release does not know.
func TestDecode_unknownCase(t *testing.T) {
	t.Parallel()
	b, err := proto.Marshal(running(func(e *resiliencyv1.JobEvent) { e.Event = nil }))
	if err != nil {
		t.Fatal(err)
	}
	b = protowire.AppendTag(b, 29, protowire.BytesType)
	b = protowire.AppendBytes(b, []byte{8, 1})
	e := new(resiliencyv1.JobEvent)
	if err := proto.Unmarshal(b, e); err != nil {
		t.Fatal(err)
	}
	o, err := Decode(e, now)
	if !errors.Is(err, ErrUnknownEvent) || resilience.IsPermanent(err) {
		t.Errorf("error %v, want ErrUnknownEvent and not permanent", err)
	}
	if o.JobID != "j-17" {
		t.Errorf("job id %q is lost, so nobody could log it", o.JobID)
	}
}

func TestEncode_roundTrip(t *testing.T) {
	t.Parallel()
	code := int32(137)
	base := job.Observation{
		EventID: "e", OccurredAt: now, JobID: "j-17", Attempt: 2, Ordinal: 30, Stage: "kubernetes",
		CorrelationID: "c", Source: resiliencyv1.Source_SOURCE_SDK, Reporter: "p", Owner: "o", Tenant: "t",
		OutputURI:  "gs://b/p/",
		Kubernetes: job.Kubernetes{Cluster: "c", Namespace: "n", Name: "j", UID: "u", CreatedAt: now},
	}
	cause := job.CauseDetail{Cause: job.CauseOOM, Message: "m", Reason: "r", Pod: "p", Container: "c", ExitCode: &code, Node: "n"}
	claims := map[string]func(*job.Observation){
		"status": func(o *job.Observation) { o.Kind, o.State, o.Generation = job.KindStatus, job.StateSuspended, 4 },
		"done":   func(o *job.Observation) { o.Kind, o.State, o.StageDone = job.KindStatus, job.StateRunning, true },
		"end": func(o *job.Observation) {
			o.Kind, o.State, o.Evidence, o.Cause, o.Detail = job.KindStatus, job.StateFailed, job.EvidenceCondition, cause, "d"
		},
		"cause":    func(o *job.Observation) { o.Kind, o.Cause = job.KindCause, cause },
		"vanished": func(o *job.Observation) { o.Kind, o.LastState = job.KindVanished, job.StateRunning },
		"delay":    func(o *job.Observation) { o.Kind, o.Delayed, o.DelayReason = job.KindDelay, true, "no room" },
		"final stage": func(o *job.Observation) {
			o.Kind, o.State, o.Kubernetes.End = job.KindStatus, job.StatePending, job.StageEndsJob
		},
		"stage before others": func(o *job.Observation) {
			o.Kind, o.State, o.Kubernetes.End = job.KindStatus, job.StatePending, job.StageGoesOn
		},
		"outside Kubernetes": func(o *job.Observation) {
			o.Kind, o.State, o.Kubernetes = job.KindStatus, job.StatePending, job.Kubernetes{}
		},
	}
	for name, edit := range claims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := base
			edit(&want)
			b, err := proto.Marshal(Encode(&want))
			if err != nil {
				t.Fatal(err)
			}
			e := new(resiliencyv1.JobEvent)
			if err := proto.Unmarshal(b, e); err != nil {
				t.Fatal(err)
			}
			got, err := Decode(e, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncode_canAlwaysBeMarshalled(t *testing.T) {
	t.Parallel()
	o := job.Observation{
		JobID: "j", OccurredAt: now, Attempt: 1, Owner: "a\xff", Kind: job.KindStatus, State: job.StateFailed,
		Cause: job.CauseDetail{Cause: job.CauseOther, Message: "\xff" + strings.Repeat("m", 5000)},
	}
	if _, err := proto.Marshal(Encode(&o)); err != nil {
		t.Error(err)
	}
}

// FuzzDecode feeds arbitrary bytes: whatever comes, Decode gives a claim that
// keeps the contract, or an error, and never panics.
func FuzzDecode(f *testing.F) {
	for _, e := range []*resiliencyv1.JobEvent{running(), {}, running(func(e *resiliencyv1.JobEvent) { e.Event = nil })} {
		b, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e := new(resiliencyv1.JobEvent)
		if proto.Unmarshal(b, e) != nil {
			return
		}
		o, err := Decode(e, now)
		if err != nil {
			return
		}
		if job.CheckID(o.JobID) != nil || o.Attempt < 1 || o.Attempt > job.MaxAttempt || o.Kind == 0 {
			t.Errorf("let through: %+v", o)
		}
		var r job.Record
		r.Apply(&o)
		if again := r; again.Apply(&o).Changed() {
			t.Errorf("not idempotent: %+v", o)
		}
	})
}

package phases

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func event(id string, alter ...func(*resiliencyv1.PhaseEvent)) *resiliencyv1.PhaseEvent {
	e := &resiliencyv1.PhaseEvent{
		EventId: id, OccurredAt: timestamppb.New(epoch), JobId: "j-1", Attempt: 1, Name: "load",
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30}, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "r-1",
		Event: &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}},
	}
	for _, a := range alter {
		a(e)
	}
	return e
}

func told() Told {
	return Told{ReceivedAt: epoch.Add(time.Second), ExpireAt: epoch.Add(time.Hour)}
}

// read is the document as it comes back.
func read(t *testing.T, d *Document) Stored {
	t.Helper()
	out, err := decode(d.ID, d.fields)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOfPhase_KeepsTheEvent(t *testing.T) {
	t.Parallel()
	e := event("e-1", func(e *resiliencyv1.PhaseEvent) { e.Details = map[string]string{"a": "<b>\u202e\x00"} })
	before := proto.CloneOf(e)
	d, err := OfPhase(e, told())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, e, protocmp.Transform()); diff != "" {
		t.Errorf("the event was changed (-want +got):\n%s", diff)
	}
	got := read(t, d)
	before.Reporter = "" // it is the witness's
	if diff := cmp.Diff(before, got.Phase, protocmp.Transform()); diff != "" {
		t.Errorf("phase (-want +got):\n%s", diff)
	}
	want := []Witness{{Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "r-1", ReceivedAt: epoch.Add(time.Second)}}
	if diff := cmp.Diff(want, got.Witnesses); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
	if d.ID != "e-1" || got.Kind != KindStarted || !got.ExpireAt.Equal(epoch.Add(time.Hour)) {
		t.Errorf("document %s %+v", d.ID, got)
	}
}

// Two sources of one fact differ in nothing but their own word.
func TestOfPhase_OneFactOneDocument(t *testing.T) {
	t.Parallel()
	a, err := OfPhase(event("e-1"), told())
	if err != nil {
		t.Fatal(err)
	}
	b, err := OfPhase(event("e-1", func(e *resiliencyv1.PhaseEvent) {
		e.Source, e.Reporter = resiliencyv1.Source_SOURCE_LOG_WITNESS, "r-2"
	}), told())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.fields[fieldPayload], b.fields[fieldPayload]); diff != "" {
		t.Error(diff)
	}
	one, other := read(t, a.merged(b)), read(t, b.merged(a))
	if len(one.Witnesses) != 2 || cmp.Diff(one.Witnesses, other.Witnesses) != "" {
		t.Errorf("witnesses %v and %v", one.Witnesses, other.Witnesses)
	}
}

func TestOfPhase_Bounds(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("ä", 1<<20)
	cases := map[string]func(e *resiliencyv1.PhaseEvent){
		"name":    func(e *resiliencyv1.PhaseEvent) { e.Name = big },
		"message": func(e *resiliencyv1.PhaseEvent) { e.Message = big },
		"id":      func(e *resiliencyv1.PhaseEvent) { e.EventId = big },
		"details": func(e *resiliencyv1.PhaseEvent) {
			e.Details = map[string]string{big: big}
			for i := range 5000 {
				e.Details[fmt.Sprintf("k%04d", i)] = "v"
			}
		},
		"cause": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{
				Cause: &resiliencyv1.CauseDetail{Message: big, Reason: big, Pod: big, Node: big, Container: big},
			}}
		},
		"note": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{
				Kubernetes: &resiliencyv1.KubernetesRef{Cluster: big, Namespace: big, Name: big, Uid: big},
			}}
		},
		"judged": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{RunId: big, Rule: big, Reasoning: big}}
		},
		"letter": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_DeadLettered{DeadLettered: &resiliencyv1.DeadLettered{
				LetterId: big, Subscription: big, Reason: big, Category: big,
			}}
		},
		"capsule": func(e *resiliencyv1.PhaseEvent) {
			c := &resiliencyv1.FailureCaptured{Pod: big, Node: big, PodStatusJson: big, Incomplete: big, Uri: big}
			for range 30 {
				c.Logs = append(c.Logs, &resiliencyv1.ContainerLog{Container: big, Tail: big + "the end"})
			}
			e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: c}
		},
		"later_release": func(e *resiliencyv1.PhaseEvent) {
			unknown := protowire.AppendTag(nil, 900, protowire.BytesType)
			e.ProtoReflect().SetUnknown(protowire.AppendBytes(unknown, []byte(big)))
		},
	}
	for name, alter := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := OfPhase(event("e-1", alter), told())
			if err != nil {
				t.Fatal(err)
			}
			if d.size > 512<<10 {
				t.Errorf("document of %d bytes", d.size)
			}
			got := read(t, d).Phase
			if got.GetDetails()[truncatedDetail] == "" {
				t.Errorf("does not say that it was cut: %v", got.GetDetails())
			}
			for _, l := range got.GetFailureCaptured().GetLogs() {
				if !l.GetTruncated() || !strings.HasSuffix(l.GetTail(), "the end") {
					t.Errorf("log truncated %v, ends %q", l.GetTruncated(), l.GetTail()[max(0, len(l.GetTail())-10):])
				}
			}
		})
	}
}

// Every kind of event is read for a story: one that is added to the contract and
// forgotten there would be on no page.
func TestKindOf_IsPartOfTheStory(t *testing.T) {
	t.Parallel()
	read := append(storyKinds(), KindProgressed)
	cases := (&resiliencyv1.PhaseEvent{}).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	all := []*resiliencyv1.PhaseEvent{{}} // of a later release
	for i := range cases.Len() {
		e := &resiliencyv1.PhaseEvent{}
		e.ProtoReflect().Mutable(cases.Get(i))
		all = append(all, e)
	}
	failed := &resiliencyv1.PhaseEnded{Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED}
	all = append(all, &resiliencyv1.PhaseEvent{Event: &resiliencyv1.PhaseEvent_Ended{Ended: failed}})
	for _, e := range all {
		if kind := kindOf(e); !slices.Contains(read, kind) {
			t.Errorf("%T is of kind %s, which nobody reads", e.GetEvent(), kind)
		}
	}
	if !slices.Contains(read, KindUpdate) {
		t.Error("updates are not read")
	}
}

func TestDocument_IDs(t *testing.T) {
	t.Parallel()
	for id, kept := range map[string]bool{
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8": true, "a_b": true, "": false, "a/b": false, "..": false, "__x__": false, "ä": false,
	} {
		d, err := OfPhase(event(id), told())
		if err != nil {
			t.Fatal(err)
		}
		again, err := OfPhase(event(id), told())
		if err != nil {
			t.Fatal(err)
		}
		if (d.ID == id) != kept || d.ID != again.ID || !plainID.MatchString(d.ID) {
			t.Errorf("id %q became %q and %q", id, d.ID, again.ID)
		}
	}
	_, err := OfPhase(event("e", func(e *resiliencyv1.PhaseEvent) { e.JobId = "../x" }), told())
	if !resilience.IsPermanent(err) {
		t.Errorf("a job id that is a path: %v", err)
	}
}

func TestOfUpdate(t *testing.T) {
	t.Parallel()
	u := &resiliencyv1.JobUpdate{
		EventId: "u-1", OccurredAt: timestamppb.New(epoch), JobId: "j-1", Attempt: 1, Revision: 7, Text: "Job j-1 failed.",
		Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER, State: job.StateFailed, Event: &resiliencyv1.JobUpdate_Failed{Failed: &resiliencyv1.JobFailed{}},
	}
	d, err := OfUpdate(u, told())
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, d)
	if diff := cmp.Diff(u, got.Update, protocmp.Transform()); diff != "" || got.Kind != KindUpdate {
		t.Errorf("update of kind %s (-want +got):\n%s", got.Kind, diff)
	}
}

func TestParseTTLs(t *testing.T) {
	t.Parallel()
	got, err := ParseTTLs(DefaultTTL, []string{"video=48h", "maps=720h"})
	if err != nil || got.Of("video") != 48*time.Hour || got.Of("x") != DefaultTTL || got.Of("") != DefaultTTL {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = ParseTTLs(time.Minute, []string{"x", "a=1s", "b=2h", "b=3h", "=4h", "c=forever"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"1m0s", `"x" is not`, `"a=1s" is not from`, `"b" is given twice`, `"=4h"`, `"c=forever"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

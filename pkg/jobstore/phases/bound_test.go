package phases

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// hostile fills every field of a message, so that one that is added to the contract
// and forgotten here is found.
type hostile struct {
	// text is the value of every text, items the length of every list and map,
	// unknown the bytes of a later release in every message.
	text    string
	items   int
	unknown int
}

func hostiles() map[string]hostile {
	return map[string]hostile{
		"long_texts":            {text: strings.Repeat("\u00e4", 1<<19), items: 3},
		"many_long_texts":       {text: strings.Repeat("x", 2<<10), items: 1000},
		"many_short_texts":      {text: "x", items: 20_000},
		"many_empty_messages":   {items: 20_000},
		"long_unknown_fields":   {text: "x", items: 1, unknown: 2 << 20},
		"a_little_in_each_part": {text: "x", items: 1000, unknown: maxUnknown - 64},
		"all_that_is_just_kept": {text: strings.Repeat("x", job.MaxMessageBytes), items: maxNotes, unknown: 64},
		"wide_letters":          {text: strings.Repeat("\ufffd", 100_000), items: 40},
	}
}

// fill sets all fields of a message but its job id and stage, which CheckHead bounds.
// Of each oneof it sets the named case.
func (h hostile) fill(r protoreflect.Message, oneof protoreflect.Name) {
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if in := f.ContainingOneof(); in != nil && !in.IsSynthetic() && f.Name() != oneof {
			continue
		}
		switch name := f.Name(); {
		case name == "job_id" || name == "stage":
		case f.IsMap():
			for i := range h.items {
				r.Mutable(f).Map().Set(protoreflect.ValueOfString(fmt.Sprint(i, h.text)).MapKey(), protoreflect.ValueOfString(h.text))
			}
		case f.IsList() && f.Message() != nil:
			for range h.items {
				h.fill(r.Mutable(f).List().AppendMutable().Message(), oneof)
			}
		case f.IsList():
			for range h.items {
				r.Mutable(f).List().Append(h.value(f))
			}
		case f.Message() != nil:
			h.fill(r.Mutable(f).Message(), oneof)
		default:
			r.Set(f, h.value(f))
		}
	}
	if h.unknown > 0 {
		r.SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 900, protowire.BytesType), make([]byte, h.unknown)))
	}
}

func (h hostile) value(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(h.text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(h.text))
	default:
		return f.Default()
	}
}

// cases are the cases of the oneof of a message.
func cases(m proto.Message) []protoreflect.Name {
	fields := m.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	names := make([]protoreflect.Name, fields.Len())
	for i := range names {
		names[i] = fields.Get(i).Name()
	}
	return names
}

// Whatever a publisher sends within a message of Pub/Sub (10 MB), and more than that,
// the document stays half as big as Firestore allows.
func TestDocument_NeverTooBig(t *testing.T) {
	t.Parallel()
	for name, h := range hostiles() {
		for _, oneof := range cases(&resiliencyv1.PhaseEvent{}) {
			t.Run(fmt.Sprintf("phase/%s/%s", oneof, name), func(t *testing.T) {
				t.Parallel()
				e := &resiliencyv1.PhaseEvent{}
				h.fill(e.ProtoReflect(), oneof)
				e.JobId, e.Stage = "j-1", &resiliencyv1.Stage{Name: "kubernetes"}
				d, err := OfPhase(e, told())
				fits(t, d, err)
			})
		}
		for _, oneof := range cases(&resiliencyv1.JobUpdate{}) {
			t.Run(fmt.Sprintf("update/%s/%s", oneof, name), func(t *testing.T) {
				t.Parallel()
				u := &resiliencyv1.JobUpdate{}
				h.fill(u.ProtoReflect(), oneof)
				u.JobId, u.Stage = "j-1", &resiliencyv1.Stage{Name: "kubernetes"}
				d, err := OfUpdate(u, told())
				fits(t, d, err)
			})
		}
	}
}

// fits counts what is stored itself: size is an estimate.
func fits(t *testing.T, d *Document, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	size := len(d.ID)
	for name, value := range d.Fields() {
		size += len(name) + 16
		switch v := value.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case map[string]any:
			size += len(fmt.Sprint(v))
		}
	}
	if size > 512<<10 {
		t.Errorf("document of %d bytes", size)
	}
	if d.size+512 < size {
		t.Errorf("estimated at %d bytes, has %d", d.size, size)
	}
}

// A time that is none is dropped wherever it stands, and what it stood in is kept.
func TestBound_Times(t *testing.T) {
	t.Parallel()
	odd, sound := &timestamppb.Timestamp{Seconds: 1 << 60}, timestamppb.New(epoch)
	for name, set := range map[string]func(*resiliencyv1.PhaseEvent){
		"kubernetes": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Kubernetes: &resiliencyv1.KubernetesRef{Name: "n", CreatedAt: odd}}}
		},
		"capsule": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{Events: []*resiliencyv1.KubernetesNote{
				{Reason: "first", At: odd}, {Reason: "second", At: sound},
			}}}
		},
		"judged": func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{Rule: "r", NextCheckAt: odd}}
		},
	} {
		d, err := OfPhase(event("e-1", set), told())
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, d).Phase
		shown, err := protojson.Marshal(got)
		if err != nil {
			t.Errorf("%s: what is stored cannot be shown: %v", name, err)
		}
		if !got.GetOccurredAt().AsTime().Equal(epoch) || name == "capsule" && strings.Count(string(shown), "2026-11-21") != 2 {
			t.Errorf("%s: a sound time was dropped: %s", name, shown)
		}
	}
	d, err := OfUpdate(&resiliencyv1.JobUpdate{
		EventId: "u", JobId: "j-1", OccurredAt: sound, Kubernetes: &resiliencyv1.KubernetesRef{Name: "n", CreatedAt: odd},
	}, told())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, d).Update; got.GetKubernetes().GetCreatedAt() != nil || got.GetKubernetes().GetName() != "n" {
		t.Errorf("update %v", got)
	}
}

// The newest of what Kubernetes said are kept, in their order.
func TestBoundCapsule_KeepsTheNewestNotes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		notes, message, from int
	}{
		"few":       {notes: 3, message: 10, from: 0},
		"usual":     {notes: maxNotes, message: 100, from: 0},
		"many":      {notes: 5 * maxNotes, message: 100, from: 4 * maxNotes},
		"long":      {notes: maxNotes, message: job.MaxMessageBytes, from: 37},
		"very_long": {notes: maxNotes, message: 100 * job.MaxMessageBytes, from: 37},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &resiliencyv1.FailureCaptured{}
			for i := range tt.notes {
				c.Events = append(c.Events, &resiliencyv1.KubernetesNote{
					Object: "Pod/p", Reason: fmt.Sprint(i), Message: strings.Repeat("m", tt.message),
				})
			}
			e := event("e-1", func(e *resiliencyv1.PhaseEvent) {
				e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: c}
			})
			d, err := OfPhase(e, told())
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, d).Phase
			kept := got.GetFailureCaptured().GetEvents()
			if len(kept) != tt.notes-tt.from {
				t.Fatalf("%d notes kept of %d, want %d", len(kept), tt.notes, tt.notes-tt.from)
			}
			for i, n := range kept {
				if n.GetReason() != fmt.Sprint(tt.from+i) || len(n.GetMessage()) != min(tt.message, job.MaxMessageBytes) {
					t.Errorf("note %d: reason %s, message of %d bytes", i, n.GetReason(), len(n.GetMessage()))
				}
			}
			if said := got.GetDetails()[truncatedDetail] != ""; said != (tt.from > 0) {
				t.Errorf("says that it was cut: %v", said)
			}
		})
	}
}

// Package proto_test holds the contract to its promises: all messages begin
// alike, bytes of earlier releases stay readable, and what a newer publisher
// adds is survived.
package proto_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// topLevel returns the messages that travel by themselves: those with a oneof
// named event.
func topLevel(t *testing.T) []protoreflect.MessageDescriptor {
	t.Helper()
	var found []protoreflect.MessageDescriptor
	own := resiliencyv1.File_envision_resiliency_v1_common_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(own, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			if m := f.Messages().Get(i); m.Oneofs().ByName("event") != nil {
				found = append(found, m)
			}
		}
		return true
	})
	slices.SortFunc(found, func(a, b protoreflect.MessageDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	if len(found) < 4 {
		t.Fatalf("found %d top-level messages, want at least JobCommand, JobEvent, JobUpdate and PhaseEvent", len(found))
	}
	return found
}

// signature tells all that the wire and the generated getters know of a field.
func signature(f protoreflect.FieldDescriptor) string {
	kind := f.Kind().String()
	switch f.Kind() {
	case protoreflect.MessageKind:
		kind = string(f.Message().FullName())
	case protoreflect.EnumKind:
		kind = string(f.Enum().FullName())
	default:
	}
	return fmt.Sprintf("%d %s %s %s", f.Number(), f.Name(), f.Cardinality(), kind)
}

func TestMessages_begin_alike(t *testing.T) {
	t.Parallel()
	head := []string{
		"1 event_id optional string",
		"2 occurred_at optional google.protobuf.Timestamp",
		"3 job_id optional string",
		"4 attempt optional int32",
		"5 stage optional envision.resiliency.v1.Stage",
		"6 correlation_id optional string",
		"7 source optional envision.resiliency.v1.Source",
		"8 reporter optional string",
	}
	for _, m := range topLevel(t) {
		for i, want := range head {
			f := m.Fields().ByNumber(protoreflect.FieldNumber(i + 1))
			if f == nil {
				t.Errorf("%s has no field %s", m.Name(), want)
				continue
			}
			if got := signature(f); got != want {
				t.Errorf("%s has field %q, want %q", m.Name(), got, want)
			}
		}
		cases := m.Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			if n := cases.Get(i).Number(); n < 20 {
				t.Errorf("%s: case %s has number %d, cases begin at 20", m.Name(), cases.Get(i).Name(), n)
			}
		}
	}
}

// A case that only a newer publisher knows arrives as an unknown field; the
// reader sees no event, and passing the message on keeps it whole.
func TestMessages_survive_an_unknown_case(t *testing.T) {
	t.Parallel()
	known, err := proto.Marshal(&resiliencyv1.JobEvent{EventId: "e", JobId: "j"})
	if err != nil {
		t.Fatal(err)
	}
	future := slices.Concat(known, []byte{0xfa, 0x3f, 0x02, 0x08, 0x01}) // field 1023, a message of two bytes
	var event resiliencyv1.JobEvent
	if err := proto.Unmarshal(future, &event); err != nil {
		t.Fatal(err)
	}
	if event.GetEvent() != nil || event.GetJobId() != "j" {
		t.Errorf("event = %v", &event)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&event)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(future) {
		t.Errorf("passed on as %x, want %x", again, future)
	}
}

package logentry

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// JobEvent decodes the event of a KindJobEvent. Whether it keeps the contract is
// for package jobevent to say. Errors wrap ErrUndecodable.
func (e *Entry) JobEvent() (*resiliencyv1.JobEvent, error) {
	event := new(resiliencyv1.JobEvent)
	return event, e.decodeLine(event)
}

// PhaseEvent decodes the event of a KindPhaseEvent. Errors wrap ErrUndecodable.
func (e *Entry) PhaseEvent() (*resiliencyv1.PhaseEvent, error) {
	event := new(resiliencyv1.PhaseEvent)
	return event, e.decodeLine(event)
}

// decodeLine discards fields that this release does not know: strict protojson
// would refuse every line of a newer one.
func (e *Entry) decodeLine(event proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Line, event); err != nil {
		return fmt.Errorf("%w: its %s: %w", ErrUndecodable, e.Kind, err)
	}
	m := event.ProtoReflect()
	if one := m.Descriptor().Oneofs().ByName("event"); m.WhichOneof(one) == nil && unknownField(e.Line, m.Descriptor()) {
		m.SetUnknown(laterField())
	}
	return nil
}

// unknownField reports whether the object has a field that the message does not.
func unknownField(line json.RawMessage, d protoreflect.MessageDescriptor) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil {
		return false
	}
	for name := range fields {
		if d.Fields().ByTextName(name) == nil && d.Fields().ByJSONName(name) == nil {
			return true
		}
	}
	return false
}

// laterField is how a field of a later release looks in the binary form. JSON
// leaves no such trace, and readers tell by it an event of a kind that they do
// not know from one that says nothing.
func laterField() []byte {
	const last = protowire.Number(1<<29 - 1) // no field of ours has it
	return protowire.AppendVarint(protowire.AppendTag(nil, last, protowire.VarintType), 0)
}

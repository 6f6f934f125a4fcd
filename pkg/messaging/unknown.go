package messaging

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// UnknownFields counts, in msg and all messages in it, the fields that this
// build does not know: a newer sender set them. An unknown oneof case is an
// unknown field and an unset oneof.
func UnknownFields(msg proto.Message) int { return unknownFields(msg.ProtoReflect()) }

// HasUnknown reports whether UnknownFields finds any.
func HasUnknown(msg proto.Message) bool { return UnknownFields(msg) > 0 }

func unknownFields(m protoreflect.Message) int {
	n := 0
	for raw := m.GetUnknown(); len(raw) > 0; n++ {
		_, _, size := protowire.ConsumeField(raw)
		if size < 0 {
			break // cannot be: the decoder has read these bytes
		}
		raw = raw[size:]
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if isMessage(field.MapValue()) {
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					n += unknownFields(v.Message())
					return true
				})
			}
		case field.IsList():
			for i := 0; isMessage(field) && i < value.List().Len(); i++ {
				n += unknownFields(value.List().Get(i).Message())
			}
		case isMessage(field):
			n += unknownFields(value.Message())
		}
		return true
	})
	return n
}

func isMessage(field protoreflect.FieldDescriptor) bool { return field.Message() != nil }

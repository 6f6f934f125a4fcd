package letter

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
)

const (
	// hexHead is how many bytes of what cannot be read are shown.
	hexHead = 512
	// textHead is how many bytes of text of an unknown kind are shown.
	textHead = 4 << 10
	// maxView is how much is made of a view before it is cut between characters.
	maxView = letters.MaxDecoded + utf8.UTFMax
)

// view is the payload for people: protojson of what is known, formatted JSON,
// text, or the first bytes.
func view(kind string, m proto.Message, data []byte) string {
	switch {
	case len(data) == 0:
		return "(empty)"
	case m != nil:
		return job.Cut(protoView(m), letters.MaxDecoded)
	case kind == letters.TypeLogEntry && len(data) <= maxDecode && json.Valid(data):
		return job.Cut(indent(data, maxView), letters.MaxDecoded)
	}
	if text, ok := printable(data); ok {
		return text
	}
	return dump(data)
}

func protoView(m proto.Message) string {
	out, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return fmt.Sprintf("(cannot be shown: %v)", err)
	}
	// Protobuf's own indentation varies from build to build on purpose.
	text := indent(out, maxView)
	if n := messaging.UnknownFields(m); n > 0 {
		text += fmt.Sprintf("\n\n%d fields that this release does not know. Those of the message itself:\n%s",
			n, dump(m.ProtoReflect().GetUnknown()))
	}
	return text
}

// printable is the head of the payload if it is text.
func printable(data []byte) (string, bool) {
	head := data[:min(len(data), textHead)]
	for trim := 0; trim < utf8.UTFMax && len(data) > textHead && !utf8.Valid(head); trim++ {
		head = head[:len(head)-1] // the cut may have split a character
	}
	text := string(head)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return "", false
	}
	if more := len(data) - len(head); more > 0 {
		text += fmt.Sprintf("\n… %d more bytes", more)
	}
	return text, true
}

func dump(data []byte) string {
	text := hex.Dump(data[:min(len(data), hexHead)])
	if more := len(data) - hexHead; more > 0 {
		text += fmt.Sprintf("… %d more bytes\n", more)
	}
	return text
}

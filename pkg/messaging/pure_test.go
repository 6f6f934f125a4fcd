package messaging //nolint:testpackage // letterAttributes is not for others

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestLetterAttributes(t *testing.T) {
	t.Parallel()
	ours := map[string]string{"dead_letter_reason": "new"}
	original := map[string]string{
		"job_id": "j", "dead_letter_reason": "forged", "googclient_schemaencoding": "BINARY", "x": "y",
		"dead_letter_dependency": "forged", "CloudPubSubDeadLetterSourceSubscription": "forged",
	}
	before := maps.Clone(original)
	want := map[string]string{"job_id": "j", "dead_letter_reason": "new", "x": "y"}
	if diff := cmp.Diff(want, letterAttributes(original, ours)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, original); diff != "" {
		t.Errorf("the message itself was changed:\n%s", diff)
	}
	if diff := cmp.Diff(ours, letterAttributes(nil, ours)); diff != "" {
		t.Errorf("without attributes (-want +got):\n%s", diff)
	}
}

func TestOriginalAttributes(t *testing.T) {
	t.Parallel()
	letter := map[string]string{
		"job_id": "j", "x": "y", "replay_target": "s", "replay_number": "2", "googclient_schemaname": "n",
		"dead_letter_reason": "r", "CloudPubSubDeadLetterSourceDeliveryCount": "5",
	}
	if diff := cmp.Diff(map[string]string{"job_id": "j", "x": "y"}, OriginalAttributes(letter)); diff != "" || len(letter) != 7 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLetterAttributes_MakesRoom(t *testing.T) {
	t.Parallel()
	original := map[string]string{"type": "t", "job_id": "j", "event_id": "e", "correlation_id": "c", "replay_target": "r"}
	for n := len(original); n < 100; n++ {
		original["a-"+strconv.Itoa(1000+n)] = "v"
	}
	ours := map[string]string{"dead_letter_reason": "r", "dead_letter_category": "permanent"}
	got := letterAttributes(original, ours)
	if len(got) != 100 {
		t.Errorf("%d attributes", len(got))
	}
	for _, key := range []string{"type", "job_id", "event_id", "correlation_id", "replay_target", "dead_letter_reason", "dead_letter_category", "a-1005", "a-1097"} {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is gone", key)
		}
	}
	for _, key := range []string{"a-1098", "a-1099"} {
		if _, ok := got[key]; ok {
			t.Errorf("%s is still there", key)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in    string
		limit int
		want  string
	}{
		{"short", 10, "short"}, {"exact", 5, "exact"}, {"longer", 4, "long"}, {"", 4, ""},
		{"aüü", 2, "a"}, {"aüü", 3, "aü"}, {"日本", 2, ""}, {"a\xffb", 10, "a\uFFFDb"},
	}
	for _, tc := range cases {
		if got := Cut(tc.in, tc.limit); got != tc.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("aüb\xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1<<20 {
			return
		}
		got := Cut(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || !strings.HasPrefix(strings.ToValidUTF8(s, "\uFFFD"), got) {
			t.Errorf("Cut(%q, %d) = %q", s, limit, got)
		}
	})
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	unknown := func(fields ...protowire.Number) []byte {
		var raw []byte
		for _, n := range fields {
			raw = protowire.AppendTag(raw, n, protowire.BytesType)
			raw = protowire.AppendString(raw, "new")
		}
		return raw
	}
	msg := &resiliencyv1.JobEvent{EventId: "e", Stage: &resiliencyv1.Stage{Name: "kubernetes"}}
	if HasUnknown(msg) {
		t.Error("unknown fields where there are none")
	}
	msg.ProtoReflect().SetUnknown(unknown(900, 901))
	msg.GetStage().ProtoReflect().SetUnknown(unknown(902))
	if got := UnknownFields(msg); got != 3 {
		t.Errorf("%d unknown fields, want 3", got)
	}
	// A newer sender's oneof case, over the wire.
	data, err := proto.Marshal(&resiliencyv1.JobEvent{EventId: "e"})
	if err != nil {
		t.Fatal(err)
	}
	var got resiliencyv1.JobEvent
	if err := proto.Unmarshal(append(data, unknown(99)...), &got); err != nil || UnknownFields(&got) != 1 || got.GetEvent() != nil {
		t.Errorf("%v, %d unknown, event %v", err, UnknownFields(&got), got.GetEvent())
	}
}

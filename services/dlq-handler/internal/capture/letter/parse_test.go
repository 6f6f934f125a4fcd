package letter_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

const (
	project   = "p"
	updater   = "job-events-status-updater"
	entries   = "job-log-entries-status-updater"
	eventType = "envision.resiliency.v1.JobEvent"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func event() *resiliencyv1.JobEvent {
	return &resiliencyv1.JobEvent{
		EventId: "6ba7b810-9dad-51d1-80b4-00c04fd430c8", JobId: "j-1", Attempt: 2, CorrelationId: "c-1",
		OccurredAt: timestamppb.New(now), Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		Description: &resiliencyv1.JobDescription{Tenant: "t-message"},
	}
}

func bytesOf(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(data []byte, attributes map[string]string) *letter.Letter {
	l := letter.Read(&messaging.RawMessage{Data: data, Meta: messaging.Meta{
		MessageID: "m-1", PublishTime: now, Attributes: attributes, Type: attributes["type"],
		JobID: attributes["job_id"], EventID: attributes["event_id"], CorrelationID: attributes["correlation_id"],
	}}, project, now)
	return &l
}

// moved are the attributes of a letter that our subscriber moved, with more.
func moved(subscription string, more ...string) map[string]string {
	out := map[string]string{
		"dead_letter_subscription": subscription, "dead_letter_reason": "bad", "dead_letter_category": "permanent",
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func TestRead_KnowsAnEvent(t *testing.T) {
	t.Parallel()
	attributes := moved(updater, "type", eventType, "dead_letter_attempts", "5", "dead_letter_publish_time", "2026-11-21T09:00:00Z",
		"replay_target", updater, "replay_number", "3", "foreign", "kept")
	l := read(bytesOf(t, event()), attributes)
	s := l.Stored()
	if !l.Known || !l.Trusted || l.AboutJob() != "j-1" || l.Tenant != "t-message" || s.Tenant != "" {
		t.Errorf("letter %+v", l)
	}
	got := letters.Letter{
		Subscription: s.Subscription, Topic: s.Topic, Type: s.Type, EventID: s.EventID, JobID: s.JobID,
		CorrelationID: s.CorrelationID, Attempts: s.Attempts, Reason: s.Reason, Category: s.Category, PublishedAt: s.PublishedAt,
	}
	want := letters.Letter{
		Subscription: updater, Topic: "job-events", Type: eventType, EventID: event().GetEventId(), JobID: "j-1",
		CorrelationID: "c-1", Attempts: 5, Reason: "bad", Category: resilience.CategoryPermanent, PublishedAt: now.Add(-time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := []letters.Attribute{{Key: "foreign", Value: "kept"}, {Key: "type", Value: eventType}}
	if diff := cmp.Diff(own, s.Attributes); diff != "" || l.Arrival.Replay != 3 {
		t.Errorf("replay %d, attributes (-want +got):\n%s", l.Arrival.Replay, diff)
	}
	if !strings.Contains(s.Decoded, `"job_id"`) || !strings.Contains(s.Decoded, `"j-1"`) {
		t.Errorf("view:\n%s", s.Decoded)
	}
}

func TestRead_ForwardedByPubSub(t *testing.T) {
	t.Parallel()
	for _, name := range []string{updater, "projects/p/subscriptions/" + updater} {
		s := read([]byte("x"), map[string]string{
			"CloudPubSubDeadLetterSourceSubscription": name, "CloudPubSubDeadLetterSourceSubscriptionProject": project,
			"CloudPubSubDeadLetterSourceDeliveryCount": "10", "dead_letter_reason": "forged", "dead_letter_category": "dependency",
			"dead_letter_subscription": entries,
		}).Stored()
		if s.Subscription != updater || s.Attempts != 10 || s.Category != resilience.CategoryRetryable || strings.Contains(s.Reason, "forged") {
			t.Errorf("letter from %s: %+v", name, s)
		}
	}
}

func TestRead_TrustsNoAttribute(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name       string
		attributes map[string]string
	}{
		{"no_attributes", nil},
		{"unknown_subscription", moved("../../etc/passwd")},
		{"the_dead_letters_themselves", moved("dead-letters-dlq-handler")},
		{"another_project", map[string]string{
			"CloudPubSubDeadLetterSourceSubscription":        updater,
			"CloudPubSubDeadLetterSourceSubscriptionProject": "other",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := read(bytesOf(t, event()), c.attributes)
			if s := l.Stored(); s.Subscription != letters.Unknown || s.Topic != letters.Unknown || l.Known || l.Trusted || l.AboutJob() != "" {
				t.Errorf("letter %+v", l)
			}
			if l.Phase(l.Stored(), nil) != nil {
				t.Error("it gets into the job's phase log")
			}
		})
	}
	s := read(nil, moved(updater, "dead_letter_attempts", "-7", "dead_letter_publish_time", "2999-01-01T00:00:00Z",
		"dead_letter_category", "<script>", "dead_letter_dependency", "<b>", "replay_number", "1e9", "job_id", "../x",
		"tenant", "t2", "event_id", "6ba7b810-9dad-51d1-80b4-00c04fd430c8")).Stored()
	if s.Attempts != 0 || !s.PublishedAt.IsZero() || s.Category != letters.Unknown || s.Dependency != "" || s.JobID != "" ||
		s.Tenant != "" || s.EventID != "" {
		t.Errorf("letter %+v", s)
	}
}

func TestRead_BadInput(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte{0xfe}, 10_000_000)
	deep := nested(8000)
	cases := []struct {
		name       string
		data       []byte
		attributes map[string]string
		kind, view string
		trusted    bool
	}{
		{"empty", nil, nil, letters.Unknown, "(empty)", false},
		{"empty_of_a_topic", nil, moved(updater), eventType, "(empty)", true},
		{"ten_megabytes", big, moved(updater), eventType, "9999488 more bytes", true},
		{"invalid_utf8", []byte("a\xff\xfe"), moved(entries), letters.TypeLogEntry, "61 ff fe", true},
		{"broken_json", []byte(`{"a":`), moved(entries), letters.TypeLogEntry, `{"a":`, true},
		{"json", []byte(`{"a":1}`), moved(entries), letters.TypeLogEntry, "\"a\": 1", true},
		{"deep_json", deep, moved(entries), letters.TypeLogEntry, "[\n  [\n    [\n", true},
		{"html", []byte("<script>alert(1)</script>"), moved(updater, "type", "<script>"), letters.Unknown, "<script>alert(1)</script>", false},
		{"text_of_a_topic", []byte("no protobuf"), moved(updater), eventType, "no protobuf", true},
		{"another_type", []byte("x"), moved(updater, "type", "envision.resiliency.v1.JobCommand"), "envision.resiliency.v1.JobCommand", "x", false},
		{"long_text", []byte(strings.Repeat("ä", 5000)), moved(updater), eventType, "5904 more bytes", true},
	}
	ids := map[string]string{}
	for _, c := range cases {
		l := read(c.data, c.attributes)
		s := l.Stored()
		if s.Type != c.kind || l.Trusted != c.trusted || !strings.Contains(s.Decoded, c.view) {
			t.Errorf("%s: type %s, trusted %t, view:\n%.300s", c.name, s.Type, l.Trusted, s.Decoded)
		}
		if l.Message != nil || !utf8.ValidString(s.Decoded) || len(s.Decoded) > letters.MaxDecoded || s.PayloadSize != int64(len(c.data)) {
			t.Errorf("%s: message %v, %d bytes of %d", c.name, l.Message, len(s.Decoded), s.PayloadSize)
		}
		if other, twice := ids[s.ID]; twice {
			t.Errorf("%s has the id of %s", c.name, other)
		}
		ids[s.ID] = c.name
	}
}

// nested is JSON as large as is decoded, so many brackets deep.
func nested(depth int) []byte {
	open, shut := strings.Repeat("[", depth), strings.Repeat("]", depth)
	return []byte(open + "1" + strings.Repeat(",1", (letters.MaxInlinePayload-2*depth)/2-1) + shut)
}

// What a letter holds must not multiply: the process has 256 MiB, and it would
// read the same letter again after each end.
//
//nolint:paralleltest // allocations are counted over the whole process
func TestRead_MemoryIsBounded(t *testing.T) {
	for _, depth := range []int{1, 30, 500, 9000} {
		data := nested(depth)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := read(data, moved(entries)).Stored()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("a letter of %d bytes, %d deep, took %d MiB", len(data), depth, used>>20)
		}
		if len(s.Decoded) > letters.MaxDecoded || !strings.HasPrefix(s.Decoded, "[\n  ") {
			t.Errorf("%d deep: view of %d bytes:\n%.100s", depth, len(s.Decoded), s.Decoded)
		}
	}
}

func TestRead_IndentsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `[]`, `[ ]`, `"a"`, ` 7 `, `{"a":{}}`, `[[],{}, [1]]`, `{"a" : "x\"{[,:]}\\" , "b":[1, 2,{"c":null}]}`,
		"{\n\t\"a\":\r\n [true,false]\n}", `{"ä":"\u2028 ü"}`,
	} {
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		got := read([]byte(text), moved(entries)).Stored().Decoded
		if diff := cmp.Diff(strings.TrimSpace(want.String()), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestRead_UnknownFieldsAreShown(t *testing.T) {
	t.Parallel()
	data := append(bytesOf(t, event()), protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), []byte("newer"))...)
	if view := read(data, moved(updater)).Stored().Decoded; !strings.Contains(view, "1 fields that this release does not know") || !strings.Contains(view, "newer") {
		t.Errorf("view:\n%s", view)
	}
}

func TestRead_Identity(t *testing.T) {
	t.Parallel()
	id := func(data []byte, attributes map[string]string) string { return read(data, attributes).Stored().ID }
	fact := bytesOf(t, event())
	other := event()
	other.Source, other.Reporter = resiliencyv1.Source_SOURCE_LOG_WITNESS, "elsewhere"
	if id(fact, moved(updater)) != id(bytesOf(t, other), moved(updater, "x", "y")) {
		t.Error("one fact of two reporters is two letters")
	}
	if id(fact, moved(updater)) == id(fact, moved(entries)) {
		t.Error("two subscriptions share a letter")
	}
	other = event()
	other.EventId = "always-the-same"
	same := event()
	same.EventId, same.JobId = "always-the-same", "j-2"
	if id(bytesOf(t, other), moved(updater)) == id(bytesOf(t, same), moved(updater)) {
		t.Error("an id that is none merges two messages")
	}
	garbage := moved(updater, "event_id", event().GetEventId())
	if id([]byte("garbage 1"), garbage) == id([]byte("garbage 2"), garbage) {
		t.Error("an attribute merges two messages")
	}
	again := moved(updater, "replay_target", updater, "replay_number", "1", "dead_letter_reason", "other words", "dead_letter_attempts", "9")
	if id([]byte("garbage"), moved(updater)) != id([]byte("garbage"), again) {
		t.Error("a message that died again of its replay is another letter")
	}
}

func TestRead_Fingerprint(t *testing.T) {
	t.Parallel()
	fingerprint := func(reason, jobID string) string {
		e := event()
		e.JobId = jobID
		return read(bytesOf(t, e), moved(updater, "dead_letter_reason", reason)).Stored().Fingerprint
	}
	base := fingerprint(`apply to job j-one: attempt 5 of "a" at 6ba7b810-9dad-51d1-80b4-00c04fd430c8: proto:\u00a0cannot parse`, "j-one")
	if got := fingerprint(`apply to job two-j: attempt 77 of "b \"c" at 7ba7b810-9dad-51d1-80b4-00c04fd430c8: proto:\u00a0cannot parse`, "two-j"); got != base {
		t.Error("one cause in other words has another fingerprint")
	}
	if fingerprint("apply to job j-one: no such table", "j-one") == base {
		t.Error("two causes share a fingerprint")
	}
}

func TestLetter_Phase(t *testing.T) {
	t.Parallel()
	l := read(bytesOf(t, event()), moved(updater))
	stored := *l.Stored()
	stored.Episode = 1
	first, again := l.Phase(&stored, nil), l.Phase(&stored, nil)
	if !proto.Equal(first, again) || first.GetAttempt() != 2 || first.GetStage().GetName() != "kubernetes" ||
		first.GetDeadLettered().GetLetterId() != stored.ID || jobevent.CheckHead(first, now) != nil {
		t.Errorf("phase %v", first)
	}
	stored.Episode = 2
	if l.Phase(&stored, nil).GetEventId() == first.GetEventId() {
		t.Error("two episodes make one phase")
	}
	unreadable := read([]byte("garbage"), moved(updater, "job_id", "j-1"))
	record := &job.Record{}
	record.Apply(&job.Observation{JobID: "j-1", Attempt: 3, Stage: "backend", Ordinal: 10, Kind: job.KindStatus, State: job.StateRunning, OccurredAt: now})
	if p := unreadable.Phase(unreadable.Stored(), record); p.GetAttempt() != 3 || p.GetStage().GetName() != "backend" || jobevent.CheckHead(p, now) != nil {
		t.Errorf("phase of an unreadable message: %v", p)
	}
	if p := unreadable.Phase(unreadable.Stored(), nil); jobevent.CheckHead(p, now) != nil {
		t.Errorf("phase of a job that nobody knows: %v", p)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(bytesOf(f, event()), "type", eventType, uint32(3))
	f.Add([]byte(`{"a":1}`), "job_id", "j", uint32(0))
	f.Add([]byte{0xff, 0}, "replay_number", "-1", uint32(9))
	f.Fuzz(func(t *testing.T, data []byte, key, value string, n uint32) {
		attributes := moved([]string{updater, entries, "job-commands-product", "?"}[n%4], key, value)
		l := read(data, attributes)
		s := l.Stored()
		for _, text := range []string{s.Reason, s.Decoded, s.JobID, s.CorrelationID, s.Type, string(s.Category), s.Dependency, l.Tenant} {
			if !utf8.ValidString(text) || len(text) > letters.MaxDecoded {
				t.Fatalf("text of %d bytes: %.100q", len(text), text)
			}
		}
		if s.ID == "" || s.Fingerprint == "" || s.JobID != "" && job.CheckID(s.JobID) != nil {
			t.Fatalf("letter %+v", s)
		}
		if p := l.Phase(s, nil); p != nil {
			if _, err := proto.Marshal(p); err != nil {
				t.Fatalf("phase of %x: %v", binary.BigEndian.AppendUint32(nil, n), err)
			}
		}
	})
}

package logsink

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
)

// envelope is a message as a push subscription would bring it.
type envelope struct {
	Message struct {
		Attributes map[string]string
		Data       []byte
	}
}

func readEnvelope(t *testing.T) (envelope, Entry) {
	t.Helper()
	data, err := os.ReadFile("testdata/push_envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	var entry Entry
	if err := json.Unmarshal(e.Message.Data, &entry); err != nil {
		t.Fatal(err)
	}
	return e, entry
}

// eventOf is the Event that an entry was made of.
func eventOf(t *testing.T, entry Entry) *corev1.Event {
	t.Helper()
	data, err := json.Marshal(entry.JSONPayload)
	if err != nil {
		t.Fatal(err)
	}
	var event corev1.Event
	if err := json.Unmarshal(data, &event); err != nil {
		t.Fatal(err)
	}
	return &event
}

// A message is what the real sink's is, but for what Cloud Logging adds.
func TestMessage_equals_the_envelope(t *testing.T) {
	t.Parallel()
	recorded, want := readEnvelope(t)
	s, err := newSink(Config{Place: place, Filter: sinkFilter(t)}, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := place.entryOfEvent(eventOf(t, want))
	if err != nil {
		t.Fatal(err)
	}
	message, err := s.encoded(entry, want.ReceiveTimestamp.Time)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recorded.Message.Attributes, message.GetAttributes()); diff != "" || message.GetOrderingKey() != "" {
		t.Errorf("attributes (-recorded +made):\n%s", diff)
	}
	was, is := normal(t, recorded.Message.Data), normal(t, message.GetData())
	delete(was, "insertId")
	delete(is, "insertId")
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("data (-recorded +made):\n%s", diff)
	}
}

// From a file and an Event to the topic, over the real client.
func TestSink_publishes_to_the_topic(t *testing.T) {
	t.Parallel()
	broker := messagingtest.New(t)
	local := place
	local.ProjectID = broker.ProjectID
	s, err := New(Config{Place: local, Client: broker.Client, Filter: sinkFilter(t)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const line = `{"severity":"INFO","job_event":{"job_id":"j-1"}}` + "\n"
	if err := s.AddFile(File{Path: write("job", line+"text\n"), Container: jobContainer}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	witness := Container{Namespace: "resiliency", Pod: "w-1", Name: "log-witness"}
	late := File{Path: write("witness", line+"{}\n"+line), Offset: int64(len(line)), Stream: Stderr, Container: witness}
	if err := s.AddFile(late); err != nil { // while it runs
		t.Fatal(err)
	}
	if err := s.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c != (Counts{Lines: 4, FilteredOut: 2, Passed: 2, Published: 2}) {
		t.Errorf("counts %+v", c)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	names := map[string]bool{}
	for _, m := range broker.Server.Messages() {
		var entry Entry
		if err := json.Unmarshal(m.Data, &entry); err != nil {
			t.Fatal(err)
		}
		names[entry.LogName+" "+entry.Resource.Labels["container_name"]+" "+entry.Labels["k8s-pod/resiliency_envision_dev/job-id"]] = true
		if m.Attributes[TimestampAttribute] != entry.Timestamp.String() || len(m.Attributes) != 1 || entry.JSONPayload["job_event"] == nil {
			t.Errorf("message %s with %v", m.Data, m.Attributes)
		}
	}
	want := map[string]bool{"projects/test-project/logs/stdout main j-1": true, "projects/test-project/logs/stderr log-witness ": true}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

// A dead Pub/Sub does not hold up the end.
func TestSink_ends_while_nothing_answers(t *testing.T) {
	t.Parallel()
	broker := messagingtest.New(t)
	s, err := New(Config{Place: place, Client: broker.Client, Filter: anyText})
	if err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.write(Faults{}.dice(""), place.entryOfLine(jobContainer, Stdout, []byte("x"), false, time.Now()), nil)
	drained, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if err := s.Drain(drained); err == nil {
		t.Error("drained into a dead Pub/Sub")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Pending != 1 || c.Published != 0 {
		t.Errorf("counts %+v", c)
	}
}

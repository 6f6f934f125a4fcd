package logsink

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// place is where the fixtures come from.
var place = Place{ProjectID: "acme-batch-prod", Cluster: "batch-1", Location: "us-central1"}

// fixtures returns the recorded shapes by name, as JSON.
func fixtures(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	file, err := os.Open("testdata/logentries.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	entries := map[string]json.RawMessage{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct {
			Name  string
			Entry json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		entries[row.Name] = row.Entry
	}
	if err := lines.Err(); err != nil || len(entries) == 0 {
		t.Fatalf("%d fixtures, %v", len(entries), err)
	}
	return entries
}

// normal decodes an entry for comparison; its own times may be written with
// more or fewer digits.
func normal(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var entry map[string]any
	if err := json.Unmarshal(data, &entry); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"timestamp", "receiveTimestamp"} {
		text, _ := entry[name].(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		entry[name] = at
	}
	return entry
}

func TestEntry_keeps_what_it_reads(t *testing.T) {
	t.Parallel()
	for name, data := range fixtures(t) {
		var entry Entry
		if err := json.Unmarshal(data, &entry); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := entry.encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(normal(t, data), normal(t, again)); diff != "" {
			t.Errorf("%s (-fixture +written):\n%s", name, diff)
		}
	}
}

// For the Event in a fixture, the exporter makes the fixture, given the insert id
// and the time that Cloud Logging added.
func TestEntryOfEvent_equals_the_fixtures(t *testing.T) {
	t.Parallel()
	pod := &metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "etl-20261121-42", Controller: new(true)}}}
	events := 0
	for name, data := range fixtures(t) {
		var want struct {
			InsertID         string
			ReceiveTimestamp time.Time
			JSONPayload      json.RawMessage
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if want.JSONPayload == nil {
			continue // an audit entry
		}
		events++
		var event corev1.Event
		if err := json.Unmarshal(want.JSONPayload, &event); err != nil {
			t.Fatal(err)
		}
		event.TypeMeta, event.Count, event.FirstTimestamp = metav1.TypeMeta{}, 3, event.LastTimestamp
		entry, err := place.entryOfEvent(&event)
		if err != nil {
			t.Fatal(err)
		}
		if event.InvolvedObject.Kind == "Pod" {
			entry.Labels = controllerLabels(pod)
		}
		got, err := entry.received(want.ReceiveTimestamp, want.InsertID).encode()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(t, data), normal(t, got)); diff != "" {
			t.Errorf("%s (-fixture +exported):\n%s", name, diff)
		}
	}
	if events != 11 {
		t.Errorf("%d fixtures of Events were compared, want 11", events)
	}
}

func TestEntryOfEvent_time_and_resource(t *testing.T) {
	t.Parallel()
	at := metav1.NewTime(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	later := metav1.NewMicroTime(at.Add(1500 * time.Microsecond))
	cases := map[string]struct {
		event    corev1.Event
		time     string
		kind     string
		severity string
	}{
		"last time before series": {
			corev1.Event{LastTimestamp: at, Series: &corev1.EventSeries{LastObservedTime: later}, Type: "Warning"},
			"2026-11-21T10:00:00Z", ResourceCluster, "WARNING",
		},
		"series": {
			corev1.Event{Series: &corev1.EventSeries{LastObservedTime: later}, Type: "Normal"},
			"2026-11-21T10:00:00.001500Z", ResourceCluster, "INFO",
		},
		"neither, although there is an event time": {
			corev1.Event{EventTime: later}, "0001-01-01T00:00:00Z", ResourceCluster, "INFO",
		},
		"a pod": {
			corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: "etl"}, LastTimestamp: at,
				InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "etl", Name: "p"},
			}, "2026-11-21T10:00:00Z", ResourcePod, "INFO",
		},
		"a pod of another namespace than the Event's": {
			corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, LastTimestamp: at,
				InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "etl", Name: "p"},
			}, "2026-11-21T10:00:00Z", ResourceCluster, "INFO",
		},
		"a node": {
			corev1.Event{LastTimestamp: at, InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: "n"}},
			"2026-11-21T10:00:00Z", ResourceNode, "INFO",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entry, err := place.entryOfEvent(&tc.event)
			if err != nil {
				t.Fatal(err)
			}
			if got := entry.Timestamp.String(); got != tc.time {
				t.Errorf("timestamp %s, want %s", got, tc.time)
			}
			if entry.Resource.Type != tc.kind || entry.Severity != tc.severity {
				t.Errorf("resource %s and severity %s, want %s and %s", entry.Resource.Type, entry.Severity, tc.kind, tc.severity)
			}
		})
	}
}

func TestControllerLabels(t *testing.T) {
	t.Parallel()
	owned := func(kind, name, hash string) *metav1.ObjectMeta {
		return &metav1.ObjectMeta{
			Labels:          map[string]string{"pod-template-hash": hash},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Other", Name: "x"}, {Kind: kind, Name: name, Controller: new(true)}},
		}
	}
	for want, pod := range map[string]*metav1.ObjectMeta{
		"Job etl-42":      owned("Job", "etl-42", ""),
		"CronJob nightly": owned("Job", "nightly-29384720", ""),
		"Deployment api":  owned("ReplicaSet", "api-5d4f", "5d4f"),
		" ":               {},
	} {
		labels := controllerLabels(pod)
		if got := labels[LabelControllerType] + " " + labels[LabelControllerName]; got != want {
			t.Errorf("controller %q, want %q", got, want)
		}
	}
}

func TestEntry_is_refused(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for want, entry := range map[string]*Entry{
		"exceed the maximum": {TextPayload: strings.Repeat("x", maxEntry)},
		"out of bounds":      {Timestamp: Time{now.Add(25 * time.Hour)}},
		"is out of bounds":   {Timestamp: Time{now.Add(-31 * 24 * time.Hour)}},
	} {
		if _, err := entry.received(now, "id").encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestTime_has_digits_in_threes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	for ns, want := range map[int]string{
		0: "2026-11-21T09:00:05Z", 400_000_000: "2026-11-21T09:00:05.400Z", 1_000: "2026-11-21T09:00:05.000001Z",
		332_418: "2026-11-21T09:00:05.000332418Z",
	} {
		if got := (Time{time.Date(2026, 11, 21, 10, 0, 5, ns, zone)}).String(); got != want {
			t.Errorf("%d ns: %s, want %s", ns, got, want)
		}
	}
}

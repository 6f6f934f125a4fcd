package logsink

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var jobContainer = Container{
	Namespace: "etl", Pod: "etl-42-x", Name: "main", Node: "node-1",
	PodLabels: map[string]string{"resiliency.envision.dev/job-id": "j-1", "app": "etl"},
}

func TestEntryOfLine(t *testing.T) {
	t.Parallel()
	read := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	podLabels := map[string]string{
		"k8s-pod/resiliency_envision_dev/job-id": "j-1", "k8s-pod/app": "etl", "compute.googleapis.com/resource_name": "node-1",
	}
	cases := map[string]struct {
		stream, line string
		want         Entry
	}{
		"text":            {Stdout, `hello`, Entry{Severity: "INFO", TextPayload: "hello"}},
		"text on stderr":  {Stderr, `panic: no`, Entry{Severity: "ERROR", TextPayload: "panic: no"}},
		"broken JSON":     {Stdout, `{"a":1`, Entry{Severity: "INFO", TextPayload: `{"a":1`}},
		"JSON, no object": {Stdout, `[1]`, Entry{Severity: "INFO", TextPayload: `[1]`}},
		"null":            {Stdout, `null`, Entry{Severity: "INFO", TextPayload: `null`}},
		"not UTF-8":       {Stdout, "a\xffb", Entry{Severity: "INFO", TextPayload: "a\uFFFDb"}},
		"only a message":  {Stderr, `{"message":"m","severity":"info"}`, Entry{Severity: "INFO", TextPayload: "m"}},
		"message stays": {Stdout, `{"message":"m","a":1}`, Entry{
			Severity: "INFO", JSONPayload: map[string]any{"message": "m", "a": 1.0},
		}},
		"special fields": {Stderr, `{"severity":"warn","time":"2026-11-21T09:00:00.5Z","message":"m","job_event":{"job_id":"j-1"},
			"logging.googleapis.com/labels":{"mine":"x","n":1},"logging.googleapis.com/insertId":"i-1",
			"logging.googleapis.com/trace":"t","logging.googleapis.com/spanId":"s","logging.googleapis.com/trace_sampled":true,
			"logging.googleapis.com/operation":{"id":"o"},"logging.googleapis.com/sourceLocation":{"file":"f"},
			"httpRequest":{"status":200}}`, Entry{
			Severity: "WARNING", InsertID: "i-1", Trace: "t", SpanID: "s", TraceSampled: true,
			Timestamp: Time{time.Date(2026, 11, 21, 9, 0, 0, 5e8, time.UTC)},
			Operation: map[string]any{"id": "o"}, SourceLocation: map[string]any{"file": "f"},
			HTTPRequest: map[string]any{"status": 200.0}, Labels: map[string]string{"mine": "x"},
			JSONPayload: map[string]any{"message": "m", "job_event": map[string]any{"job_id": "j-1"}},
		}},
		"special fields of other types stay": {Stdout, `{"severity":3,"time":"noon","logging.googleapis.com/labels":"x"}`, Entry{
			Severity: "INFO", JSONPayload: map[string]any{"severity": 3.0, "time": "noon", special + "labels": "x"},
		}},
		"timestamp": {Stdout, `{"a":1,"timestamp":{"seconds":1,"nanos":2},"time":"x"}`, Entry{
			Severity: "INFO", Timestamp: Time{time.Unix(1, 2)}, JSONPayload: map[string]any{"a": 1.0, "time": "x"},
		}},
		"timestampSeconds": {Stdout, `{"a":1,"timestampSeconds":1}`, Entry{
			Severity: "INFO", Timestamp: Time{time.Unix(1, 0)}, JSONPayload: map[string]any{"a": 1.0},
		}},
		"impossible seconds": {Stdout, `{"timestampSeconds":1e300}`, Entry{
			Severity: "INFO", JSONPayload: map[string]any{"timestampSeconds": 1e300},
		}},
		"a line cannot speak for another pod": {
			Stdout, `{"a":1,"logging.googleapis.com/labels":{"k8s-pod/resiliency_envision_dev/job-id":"j-2"}}`,
			Entry{Severity: "INFO", JSONPayload: map[string]any{"a": 1.0}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := tc.want
			want.LogName = "projects/acme-batch-prod/logs/" + tc.stream
			want.Resource = Resource{Type: "k8s_container", Labels: map[string]string{
				"project_id": "acme-batch-prod", "cluster_name": "batch-1", "location": "us-central1",
				"namespace_name": "etl", "pod_name": "etl-42-x", "container_name": "main",
			}}
			if want.Timestamp.IsZero() {
				want.Timestamp = Time{read}
			}
			if want.Labels == nil {
				want.Labels = map[string]string{}
			}
			for key, value := range podLabels {
				want.Labels[key] = value
			}
			got := place.entryOfLine(jobContainer, tc.stream, []byte(tc.line), false, read)
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEntryOfLine_pieces_are_text(t *testing.T) {
	t.Parallel()
	entry := place.entryOfLine(jobContainer, Stdout, []byte(`{"job_event":{}}`), true, time.Now())
	if entry.TextPayload == "" || entry.JSONPayload != nil {
		t.Errorf("a piece of a line became %+v", entry)
	}
}

func TestSeverity(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"info": "INFO", "Warning": "WARNING", "warn": "WARNING", "err": "ERROR", "fatal": "CRITICAL", "panic": "CRITICAL",
		"trace": "DEBUG", "emergency": "EMERGENCY", "loud": "DEFAULT", "": "DEFAULT",
	} {
		if got := severity(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

// Whatever a container prints becomes an entry that Cloud Logging could have
// written: one payload, GKE's labels on top, JSON that survives.
func FuzzEntryOfLine(f *testing.F) {
	f.Add([]byte(`{"severity":"error","time":"2026-11-21T09:00:00Z","job_event":{"a":[1,null]}}`))
	f.Add([]byte(`{"timestamp":{"seconds":-1e10,"nanos":999999999},"logging.googleapis.com/labels":{"k8s-pod/app":"x"}}`))
	f.Add([]byte("text \x00\xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		entry := place.entryOfLine(jobContainer, Stdout, line, false, time.Now())
		if entry.TextPayload != "" && entry.JSONPayload != nil {
			t.Errorf("two payloads: %+v", entry)
		}
		if entry.Labels["k8s-pod/app"] != "etl" || entry.Resource.Labels["pod_name"] != "etl-42-x" {
			t.Errorf("the line replaced what GKE knows: %+v", entry)
		}
		data, err := entry.received(time.Now(), "id").encode()
		if err != nil {
			return // refused, with a reason
		}
		var again Entry
		if err := json.Unmarshal(data, &again); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	})
}

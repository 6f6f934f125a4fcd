package logentry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// The Kubernetes Job of the fixtures.
const (
	fixtureUID  = "0b6f3c9e-6f0e-4b52-9a3a-2f1c7c0d5a11"
	fixtureName = "etl-20261121-42"
)

var created = time.Date(2026, 11, 21, 9, 58, 0, 0, time.UTC)

// fixtures are entries as the log sink sends them, by name.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/logentries.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Name  string
			Entry json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		entries[line.Name] = line.Entry
	}
	if err := lines.Err(); err != nil || len(entries) != 13 {
		t.Fatalf("%d fixtures, error %v", len(entries), err)
	}
	return entries
}

func read(t testing.TB, data []byte) *Entry {
	t.Helper()
	e, err := Read(data)
	if err != nil {
		t.Fatalf("read %.200s: %v", data, err)
	}
	return e
}

// edited decodes an entry, lets edit change its Event, and reads it again.
func edited(t testing.TB, fixture string, edit func(event map[string]any)) *Entry {
	t.Helper()
	var entry map[string]any
	if err := json.Unmarshal(fixtures(t)[fixture], &entry); err != nil {
		t.Fatal(err)
	}
	edit(entry["jsonPayload"].(map[string]any))
	data, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, data)
}

// recordOf is what the watchers have said of the fixtures' Job so far.
func recordOf(end job.StageEnd, edits ...func(*job.Observation)) *job.Record {
	o := job.Observation{
		JobID: "j-42", Attempt: 2, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, Source: 1,
		OccurredAt: created.Add(time.Minute), CorrelationID: "req-1", Owner: "ann",
		Kubernetes: job.Kubernetes{
			Cluster: "batch-1", Namespace: "etl", Name: fixtureName, UID: fixtureUID, CreatedAt: created, End: end,
		},
		Kind: job.KindStatus, State: job.StateRunning, Generation: 1,
	}
	for _, edit := range edits {
		edit(&o)
	}
	r := job.Of(&o)
	return &r
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

package consume

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// The Kubernetes Job of the fixtures, and the job that it belongs to here.
const (
	fixtureUID  = "0b6f3c9e-6f0e-4b52-9a3a-2f1c7c0d5a11"
	fixtureName = "etl-20261121-42"
	fixturePod  = fixtureName + "-7xk2p"
	fixtureJob  = "j-42"
)

type object = map[string]any

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
	if err := lines.Err(); err != nil || len(entries) == 0 {
		t.Fatalf("%d fixtures, error %v", len(entries), err)
	}
	return entries
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// edited is a fixture with changes to its Event.
func edited(t testing.TB, name string, edit func(event object)) []byte {
	t.Helper()
	var entry object
	if err := json.Unmarshal(fixtures(t)[name], &entry); err != nil {
		t.Fatal(err)
	}
	edit(entry["jsonPayload"].(object))
	return encode(t, entry)
}

// line is an entry of a container; field is job_event or phase_event.
func line(t testing.TB, from object, labels map[string]string, field string, event proto.Message) []byte {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return lineOf(t, from, labels, object{field: json.RawMessage(text), "message": "m"})
}

func lineOf(t testing.TB, from object, labels map[string]string, payload any) []byte {
	t.Helper()
	resource := object{"project_id": "acme-batch-prod", "location": "us-central1", "cluster_name": "batch-1"}
	maps.Copy(resource, from)
	return encode(t, object{
		"logName": "projects/acme-batch-prod/logs/stdout", "insertId": "i", "severity": "INFO", "labels": labels,
		"timestamp": "2026-11-21T11:59:00Z", "receiveTimestamp": "2026-11-21T11:59:08Z",
		"resource": object{"type": "k8s_container", "labels": resource}, "jsonPayload": payload,
	})
}

func byWitness() object {
	return object{"namespace_name": "resiliency", "pod_name": "log-witness-1", "container_name": "log-witness"}
}

func byContainer() object {
	return object{"namespace_name": "etl", "pod_name": fixturePod, "container_name": "main"}
}

func ofJob(jobID string) map[string]string {
	return map[string]string{"k8s-pod/resiliency_envision_dev/job-id": jobID}
}

func kubernetesRef() *resiliencyv1.KubernetesRef {
	return &resiliencyv1.KubernetesRef{
		Cluster: "batch-1", Namespace: "etl", Name: fixtureName, Uid: fixtureUID,
		CreatedAt: timestamppb.New(noon.Add(-3 * time.Hour)), StageFinal: new(true),
	}
}

// fixtureEvent is a claim of a source about the job of the fixtures.
func fixtureEvent(source job.Source, second int, state job.State, evidence job.Evidence) *resiliencyv1.JobEvent {
	e := event(second, state, evidence)
	e.JobId, e.Source, e.Kubernetes = fixtureJob, source, kubernetesRef()
	return e
}

func fixturePhase(source job.Source) *resiliencyv1.PhaseEvent {
	return &resiliencyv1.PhaseEvent{
		EventId: "p-1", OccurredAt: timestamppb.New(noon.Add(-time.Minute)), JobId: fixtureJob, Attempt: 1,
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30}, Source: source, Name: "load-model",
		Event: &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}},
	}
}

// know lets the bench know the job of the fixtures, as a watcher told of it.
func (b *bench) know(t testing.TB, edits ...func(*resiliencyv1.JobEvent)) {
	t.Helper()
	e := fixtureEvent(resiliencyv1.Source_SOURCE_EVENT_STREAMER, -7200, job.StateRunning, 0)
	for _, edit := range edits {
		edit(e)
	}
	if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	b.sources.said, b.outbox.offered, b.records.calls = nil, nil, 0
}

// say hands an entry to the handler at its n-th delivery.
func (b *bench) say(t testing.TB, data []byte, delivery int) error {
	t.Helper()
	return b.HandleLogEntry(t.Context(), messaging.RawMessage{
		Data: data, Meta: messaging.Meta{MessageID: "m-1", DeliveryAttempt: delivery},
	})
}

func (b *bench) entries(kind, outcome string) float64 {
	return testutil.ToFloat64(b.Metrics.entries.WithLabelValues(kind, outcome))
}

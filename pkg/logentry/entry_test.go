package logentry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRead_Fixtures(t *testing.T) {
	t.Parallel()
	want := map[string]Kind{
		"job_SuccessfulCreate": KindEventOfJob, "job_Completed": KindEventOfJob, "job_BackoffLimitExceeded": KindEventOfJob,
		"job_DeadlineExceeded": KindEventOfJob, "job_FailedCreate": KindEventOfJob, "job_Suspended": KindEventOfJob,
		"job_Resumed": KindEventOfJob, "pod_Evicted": KindEventOfPod, "pod_FailedScheduling": KindEventOfPod,
		"pod_Preempted": KindEventOfPod, "node_OOMKilling": KindEventOfNode,
		"audit_jobs_status_update": KindAudit, "audit_jobs_patch": KindAudit,
	}
	for name, data := range fixtures(t) {
		e := read(t, data)
		if e.Kind != want[name] || e.Cluster() != "batch-1" || e.Timestamp.IsZero() || e.InsertID == "" {
			t.Errorf("%s: %s of cluster %q at %v", name, e.Kind, e.Cluster(), e.Timestamp)
		}
	}
}

const (
	witnessLine = `{"logName":"projects/p/logs/stdout","resource":{"type":"k8s_container","labels":` +
		`{"namespace_name":"resiliency","container_name":"log-witness"}},"jsonPayload":{"message":"m",%s}}`
	clusterEntry = `{"logName":"projects/p/logs/events","resource":{"type":"k8s_cluster"},"jsonPayload":%s}`
)

// TestRead_BadInput gives every input that we could think of a name.
func TestRead_BadInput(t *testing.T) {
	t.Parallel()
	line := func(fields string) string { return fmt.Sprintf(witnessLine, fields) }
	event := func(payload string) string { return fmt.Sprintf(clusterEntry, payload) }
	cases := []struct {
		name  string
		entry string
		kind  Kind
		err   error
	}{
		{"nothing", "", 0, ErrUndecodable},
		{"broken JSON", `{"logName":"projects/p/logs/events","jsonPayload":{"reason":`, 0, ErrUndecodable},
		{"protobuf", "\x0a\x03abc", 0, ErrUndecodable},
		{"null", "null", 0, ErrUndecodable},
		{"a list", "[]", 0, ErrUndecodable},
		{"labels of another type", `{"labels":[]}`, 0, ErrUndecodable},
		{"an Event that is a text", event(`"Completed"`), 0, ErrUndecodable},
		{"an Event about a text", event(`{"involvedObject":"Job"}`), 0, ErrUndecodable},
		{"1 MB", line(`"job_event":{"detail":"` + strings.Repeat("x", 1_000_000) + `"}`), 0, ErrTooLarge},
		{"empty", "{}", KindUnknown, nil},
		{"null payloads", `{"jsonPayload":null,"protoPayload":null,"textPayload":null}`, KindUnknown, nil},
		{"text", `{"logName":"projects/p/logs/events","resource":{"type":"k8s_cluster"},"textPayload":"Event exporter started"}`, KindText, nil},
		{"a proto of another log", `{"logName":"projects/p/logs/requests","protoPayload":{"@type":"x"}}`, KindUnknown, nil},
		{"times that are none", `{"timestamp":12,"receiveTimestamp":"yesterday","textPayload":"x"}`, KindText, nil},
		{"a job event", line(`"job_event":{}`), KindJobEvent, nil},
		{"a phase event", line(`"phase_event":{}`), KindPhaseEvent, nil},
		{"both at once", line(`"phase_event":{},"job_event":{}`), KindUnknown, nil},
		{"a null event", line(`"job_event":null`), KindUnknown, nil},
		{"another line", line(`"severity":"INFO"`), KindUnknown, nil},
		{"a line that is a number", `{"resource":{"type":"k8s_container"},"jsonPayload":7}`, KindUnknown, nil},
		{"an Event printed by a container", strings.Replace(event(`{"involvedObject":{"kind":"Job","apiVersion":"batch/v1"}}`),
			"k8s_cluster", "k8s_container", 1), KindUnknown, nil},
		{"an Event in another log", strings.Replace(event(`{"involvedObject":{"kind":"Job","apiVersion":"batch/v1"}}`),
			"logs/events", "logs/stdout", 1), KindUnknown, nil},
		{"a job event on a machine", strings.Replace(line(`"job_event":{}`), "k8s_container", "gce_instance", 1), KindUnknown, nil},
		{"a Job of another API", event(`{"involvedObject":{"kind":"Job","apiVersion":"batch.volcano.sh/v1alpha1"}}`), KindEventOfOther, nil},
		{"an Event about nothing", event(`{}`), KindEventOfOther, nil},
		{"an Event with times that are none", event(`{"involvedObject":{"kind":"Pod"},"lastTimestamp":1,"series":null}`), KindEventOfPod, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e, err := Read([]byte(tc.entry))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err == nil && e.Kind != tc.kind {
				t.Errorf("kind %s, want %s", e.Kind, tc.kind)
			}
		})
	}
}

func TestKind_NamesAreUnlike(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := KindUnknown; k <= KindText; k++ {
		if seen[k.String()] {
			t.Errorf("two kinds are named %s", k)
		}
		seen[k.String()] = true
	}
}

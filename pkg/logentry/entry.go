package logentry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxBytes is the largest entry that is read. Cloud Logging takes none above
// 256 KiB, in an encoding that JSON at most doubles for what we read.
// Source: cloud.google.com/logging/quotas.
const MaxBytes = 512 << 10

// Why an entry cannot be read. No repeat heals either.
var (
	// ErrTooLarge says that it has more than MaxBytes, so no log sink sent it.
	ErrTooLarge = errors.New("the log entry is too large")
	// ErrUndecodable says that it is no LogEntry, or its Event no Event.
	ErrUndecodable = errors.New("the log entry cannot be decoded")
)

// Entry is one LogEntry, as far as it matters here. Payloads stay as they came.
// Source: cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry.
type Entry struct {
	LogName  string   `json:"logName"`
	Resource Resource `json:"resource"`
	// Labels come from GKE's agents, but a container may add some of its own.
	Labels           map[string]string `json:"labels"`
	Timestamp        Time              `json:"timestamp"`
	ReceiveTimestamp Time              `json:"receiveTimestamp"`
	Severity         string            `json:"severity"`
	// InsertID is no key: an exporter that writes an entry again gets another.
	InsertID     string          `json:"insertId"`
	TextPayload  json.RawMessage `json:"textPayload"`
	JSONPayload  json.RawMessage `json:"jsonPayload"`
	ProtoPayload json.RawMessage `json:"protoPayload"`

	// Kind is what the entry is.
	Kind Kind `json:"-"`
	// Event is set for the kinds of Events.
	Event *Event `json:"-"`
	// Line is the event of a structured line as protojson, for KindJobEvent and
	// KindPhaseEvent.
	Line json.RawMessage `json:"-"`
}

// Resource is where an entry comes from. GKE sets it, never the writer.
type Resource struct {
	Type   string            `json:"type"`
	Labels map[string]string `json:"labels"`
}

// Types of resources.
const (
	resourceCluster   = "k8s_cluster"
	resourcePod       = "k8s_pod"
	resourceNode      = "k8s_node"
	resourceContainer = "k8s_container"
)

// Labels of resources.
const (
	labelProject   = "project_id"
	labelLocation  = "location"
	labelCluster   = "cluster_name"
	labelNamespace = "namespace_name"
	labelPod       = "pod_name"
	labelContainer = "container_name"
)

// Namespace is the namespace that GKE gives for the entry; empty for the Events
// of anything but pods.
func (e *Entry) Namespace() string { return e.Resource.Labels[labelNamespace] }

// Pod is the name of the pod that GKE gives for the entry.
func (e *Entry) Pod() string { return e.Resource.Labels[labelPod] }

// Container is the name of the container that GKE gives for the entry.
func (e *Entry) Container() string { return e.Resource.Labels[labelContainer] }

// Cluster is the name of the cluster that GKE gives for the entry.
func (e *Entry) Cluster() string { return e.Resource.Labels[labelCluster] }

// Read decodes and classifies one entry. Errors wrap ErrTooLarge or
// ErrUndecodable.
func Read(data []byte) (*Entry, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrTooLarge, len(data), MaxBytes)
	}
	e := new(Entry)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if bytes.TrimSpace(data)[0] != '{' { // null decodes to nothing at all
		return nil, fmt.Errorf("%w: it is no object", ErrUndecodable)
	}
	return e, e.classify()
}

// Time is a time of an entry; zero when it is missing or none.
type Time struct{ time.Time }

// UnmarshalJSON never fails: an entry whose time cannot be read still says
// something.
func (t *Time) UnmarshalJSON(data []byte) error {
	parsed, err := time.Parse(time.RFC3339Nano, strings.Trim(string(data), `"`))
	if err != nil {
		parsed = time.Time{}
	}
	t.Time = parsed.UTC()
	return nil
}

package logsink

import (
	"encoding/json"
	"fmt"
	"time"
)

// Entry is Cloud Logging's LogEntry, with the fields that exporters and agents
// set. Payloads are as encoding/json decodes them: numbers are float64, as they
// are in the protobuf Struct that Cloud Logging keeps.
// Source: cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry.
type Entry struct {
	InsertID         string            `json:"insertId,omitempty"`
	LogName          string            `json:"logName"`
	Resource         Resource          `json:"resource"`
	Timestamp        Time              `json:"timestamp,omitzero"`
	ReceiveTimestamp Time              `json:"receiveTimestamp,omitzero"`
	Severity         string            `json:"severity,omitempty"`
	Labels           map[string]string `json:"labels,omitempty"`
	Operation        map[string]any    `json:"operation,omitempty"`
	SourceLocation   map[string]any    `json:"sourceLocation,omitempty"`
	HTTPRequest      map[string]any    `json:"httpRequest,omitempty"`
	Trace            string            `json:"trace,omitempty"`
	SpanID           string            `json:"spanId,omitempty"`
	TraceSampled     bool              `json:"traceSampled,omitempty"`
	TextPayload      string            `json:"textPayload,omitempty"`
	JSONPayload      map[string]any    `json:"jsonPayload,omitempty"`
	ProtoPayload     map[string]any    `json:"protoPayload,omitempty"`
}

// Resource is where an entry comes from.
type Resource struct {
	Type   string            `json:"type"`
	Labels map[string]string `json:"labels"`
}

// Types of monitored resources.
const (
	ResourceCluster   = "k8s_cluster"
	ResourcePod       = "k8s_pod"
	ResourceNode      = "k8s_node"
	ResourceContainer = "k8s_container"
)

// Time is a time as protobuf's JSON writes it: UTC, with 0, 3, 6 or 9 digits of
// a second.
type Time struct{ time.Time }

// String is the time as it stands in an entry.
func (t Time) String() string {
	layout := "2006-01-02T15:04:05"
	switch ns := t.Nanosecond(); {
	case ns == 0:
	case ns%1_000_000 == 0:
		layout += ".000"
	case ns%1_000 == 0:
		layout += ".000000"
	default:
		layout += ".000000000"
	}
	return t.UTC().Format(layout + "Z")
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// IsZero tells that no time is set.
func (t Time) IsZero() bool { return t.Time.IsZero() }

// maxEntry is the greatest size of an entry; the API refuses more with "Log
// entry with size 555.6K exceeds maximum size of 256.0K". It measures its own
// encoding, which differs from JSON by little.
// Source: cloud.google.com/logging/quotas.
const maxEntry = 256 << 10

// Bounds of an entry's timestamp; the API refuses what lies beyond.
// Source: the field timestamp of LogEntry; 30 days is the default retention.
const (
	maxAhead  = 24 * time.Hour
	retention = 30 * 24 * time.Hour
)

// received returns the entry as Cloud Logging has it after one write: with the
// insert id and the times that the writer left open.
func (e *Entry) received(now time.Time, id string) *Entry {
	written := *e
	written.ReceiveTimestamp = Time{now}
	if written.InsertID == "" {
		written.InsertID = id
	}
	if written.Timestamp.IsZero() {
		written.Timestamp = Time{now}
	}
	return &written
}

// encode returns the entry's JSON, or why the API would refuse it.
func (e *Entry) encode() ([]byte, error) {
	now := e.ReceiveTimestamp.Time
	if t := e.Timestamp.Time; t.After(now.Add(maxAhead)) || t.Before(now.Add(-retention)) {
		return nil, fmt.Errorf("log entry of %s: timestamp %v is out of bounds", e.LogName, e.Timestamp)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode log entry of %s: %w", e.LogName, err)
	}
	if len(data) > maxEntry {
		return nil, fmt.Errorf("log entry of %s: %d bytes exceed the maximum of %d", e.LogName, len(data), maxEntry)
	}
	return data, nil
}

// fields is the entry as the filter sees it.
func (e *Entry) fields() map[string]any {
	f := map[string]any{
		"insertId": e.InsertID, "logName": e.LogName, "timestamp": e.Timestamp.String(),
		"receiveTimestamp": e.ReceiveTimestamp.String(),
		"resource":         map[string]any{"type": e.Resource.Type, "labels": e.Resource.Labels},
	}
	for name, text := range map[string]string{
		"severity": e.Severity, "trace": e.Trace, "spanId": e.SpanID, "textPayload": e.TextPayload,
	} {
		if text != "" {
			f[name] = text
		}
	}
	for name, object := range map[string]map[string]any{
		"jsonPayload": e.JSONPayload, "protoPayload": e.ProtoPayload, "operation": e.Operation,
		"sourceLocation": e.SourceLocation, "httpRequest": e.HTTPRequest,
	} {
		if object != nil {
			f[name] = object
		}
	}
	if e.Labels != nil {
		f["labels"] = e.Labels
	}
	if e.TraceSampled {
		f["traceSampled"] = true
	}
	return f
}

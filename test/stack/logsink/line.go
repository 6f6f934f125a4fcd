package logsink

import (
	"encoding/json"
	"maps"
	"strings"
	"time"
)

// Streams of a container; they are the ids of its logs.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// PodLabel is the key of an entry's label that holds a pod's label: dots become
// underscores, slashes and hyphens stay. Google does not document it; entries
// from live clusters look so ("k8s-pod/app_kubernetes_io/managed-by",
// "k8s-pod/batch_kubernetes_io/job-name", in public dumps and filters).
func PodLabel(key string) string { return "k8s-pod/" + strings.ReplaceAll(key, ".", "_") }

// Container is the container that GKE would say a log file is of.
type Container struct {
	// Namespace, Pod and Name become the entry's resource labels.
	Namespace, Pod, Name string
	// PodLabels are the pod's labels, as Kubernetes has them.
	PodLabels map[string]string
	// Node is the machine's name; may be empty.
	Node string
}

func (p Place) resourceOfContainer(c Container) Resource {
	return p.resource(ResourceContainer, map[string]string{
		"namespace_name": c.Namespace, "pod_name": c.Pod, "container_name": c.Name,
	})
}

// labels are those that GKE sets.
func (c Container) labels() map[string]string {
	labels := map[string]string{}
	for key, value := range c.PodLabels {
		labels[PodLabel(key)] = value
	}
	if c.Node != "" {
		labels["compute.googleapis.com/resource_name"] = c.Node
	}
	return labels
}

// entryOfLine makes the entry that GKE's agent writes for a line: a JSON object
// becomes jsonPayload, with the special fields moved out of it, anything else
// textPayload. cut says that the line is a piece of one too long, which is never
// read as JSON. read is when the line was seen.
// Source: cloud.google.com/logging/docs/structured-logging, "special JSON fields".
func (p Place) entryOfLine(c Container, stream string, line []byte, cut bool, read time.Time) *Entry {
	entry := &Entry{LogName: p.logName(stream), Resource: p.resourceOfContainer(c), Timestamp: Time{read}, Severity: "INFO"}
	if stream == Stderr {
		entry.Severity = "ERROR"
	}
	var payload map[string]any
	if !cut && json.Unmarshal(line, &payload) == nil && payload != nil {
		entry.structured(payload)
	} else {
		entry.TextPayload = strings.ToValidUTF8(string(line), "\uFFFD")
	}
	// GKE's word is the last: a line cannot pass for one of another pod that way.
	// A pod without a label can still claim it, see deploy/gcp/sink/README.md.
	if known := c.labels(); len(known)+len(entry.Labels) > 0 {
		if entry.Labels == nil {
			entry.Labels = map[string]string{}
		}
		maps.Copy(entry.Labels, known)
	}
	return entry
}

// structured takes the payload and moves its special fields to the entry's.
func (e *Entry) structured(payload map[string]any) {
	if s, ok := move[string](payload, "severity"); ok {
		e.Severity = severity(s)
	}
	if t, ok := lineTime(payload); ok {
		e.Timestamp = Time{t}
	}
	e.InsertID, _ = move[string](payload, special+"insertId")
	e.Trace, _ = move[string](payload, special+"trace")
	e.SpanID, _ = move[string](payload, special+"spanId")
	e.TraceSampled, _ = move[bool](payload, special+"trace_sampled")
	e.Operation, _ = move[map[string]any](payload, special+"operation")
	e.SourceLocation, _ = move[map[string]any](payload, special+"sourceLocation")
	e.HTTPRequest, _ = move[map[string]any](payload, "httpRequest")
	labels, _ := move[map[string]any](payload, special+"labels")
	for key, value := range labels {
		if text, ok := value.(string); ok {
			if e.Labels == nil {
				e.Labels = map[string]string{}
			}
			e.Labels[key] = text
		}
	}
	if message, ok := payload["message"].(string); ok && len(payload) == 1 {
		e.TextPayload = message
		return
	}
	e.JSONPayload = payload
}

const special = "logging.googleapis.com/"

// move takes a field of the wanted type out of a payload; one of another type
// stays where it is.
func move[T any](payload map[string]any, key string) (T, bool) {
	value, ok := payload[key].(T)
	if ok {
		delete(payload, key)
	}
	return value, ok
}

// lineTime takes the time out of a payload, from the first that is there:
// timestamp {seconds, nanos}, timestampSeconds with timestampNanos, time.
func lineTime(payload map[string]any) (time.Time, bool) {
	if object, ok := payload["timestamp"].(map[string]any); ok {
		if t, ok := unixTime(object["seconds"], object["nanos"]); ok {
			delete(payload, "timestamp")
			return t, true
		}
	}
	if t, ok := unixTime(payload["timestampSeconds"], payload["timestampNanos"]); ok {
		delete(payload, "timestampSeconds")
		delete(payload, "timestampNanos")
		return t, true
	}
	text, _ := payload["time"].(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, false
	}
	delete(payload, "time")
	return t, true
}

// Bounds of a protobuf Timestamp: the years 1 to 9999.
const (
	minSeconds = -62_135_596_800
	maxSeconds = 253_402_300_799
)

func unixTime(seconds, nanos any) (time.Time, bool) {
	s, ok := seconds.(float64)
	n, _ := nanos.(float64)
	if !ok || s < minSeconds || s > maxSeconds || n < 0 || n >= 1e9 {
		return time.Time{}, false
	}
	return time.Unix(int64(s), int64(n)).UTC(), true
}

// severity is the LogSeverity that a word stands for; the agent knows common
// spellings, and what it does not know is DEFAULT.
func severity(word string) string {
	switch s := strings.ToUpper(word); s {
	case "DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY":
		return s
	case "TRACE":
		return "DEBUG"
	case "WARN":
		return "WARNING"
	case "ERR":
		return "ERROR"
	case "CRIT", "FATAL", "PANIC":
		return "CRITICAL"
	default:
		return "DEFAULT"
	}
}

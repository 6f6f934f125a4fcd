package logsink

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// eventsLog is the id of the log that Kubernetes Events go to.
const eventsLog = "events"

// entryOfEvent makes the entry that GKE's event-exporter writes for an Event.
// Its insert id is left to Cloud Logging, so a repeated write has another; the
// timestamp too, when the Event has neither lastTimestamp nor a series.
// Source: github.com/GoogleCloudPlatform/k8s-stackdriver, event-exporter/sinks/stackdriver.
func (p Place) entryOfEvent(event *corev1.Event) (*Entry, error) {
	payload, err := eventPayload(event)
	if err != nil {
		return nil, fmt.Errorf("entry of Event %s/%s: %w", event.Namespace, event.Name, err)
	}
	entry := &Entry{
		LogName:     p.logName(eventsLog),
		Resource:    p.resourceOfEvent(event),
		Severity:    "INFO",
		JSONPayload: payload,
	}
	if event.Type == corev1.EventTypeWarning {
		entry.Severity = "WARNING"
	}
	switch {
	case !event.LastTimestamp.IsZero():
		entry.Timestamp = Time{event.LastTimestamp.Time}
	case event.Series != nil:
		entry.Timestamp = Time{event.Series.LastObservedTime.Time}
	}
	return entry, nil
}

// eventPayload is the Event's JSON without what the exporter leaves out. Typed
// clients drop apiVersion and kind, which entries have.
func eventPayload(event *corev1.Event) (map[string]any, error) {
	data, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	var payload map[string]any
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	delete(payload, "count")
	delete(payload, "firstTimestamp")
	payload["apiVersion"], payload["kind"] = "v1", "Event"
	return payload, nil
}

// resourceOfEvent: Jobs have no resource type of their own, their Events are
// the cluster's and tell their namespace in the payload only.
func (p Place) resourceOfEvent(event *corev1.Event) Resource {
	object := event.InvolvedObject
	switch {
	case object.Kind == "Pod" && object.Namespace == event.Namespace:
		return p.resource(ResourcePod, map[string]string{"namespace_name": object.Namespace, "pod_name": object.Name})
	case object.Kind == "Node":
		return p.resource(ResourceNode, map[string]string{"node_name": object.Name})
	default:
		return p.resource(ResourceCluster, nil)
	}
}

// entryOfStart is what the exporter writes each time it begins to watch: no
// JSON in a log that else has nothing else.
func (p Place) entryOfStart() *Entry {
	return &Entry{
		LogName:     p.logName(eventsLog),
		Resource:    p.resource(ResourceCluster, nil),
		Severity:    "WARNING",
		TextPayload: "Event exporter started watching. Some events may have been lost up to this point.",
	}
}

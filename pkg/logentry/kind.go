package logentry

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is what an entry is.
type Kind uint8

const (
	// KindUnknown is anything else; it is ignored.
	KindUnknown Kind = iota
	// KindJobEvent is a line of a container whose field job_event holds a JobEvent.
	KindJobEvent
	// KindPhaseEvent is a line of a container whose field phase_event holds a
	// PhaseEvent.
	KindPhaseEvent
	// KindEventOfJob is an Event of Kubernetes about a batch/v1 Job.
	KindEventOfJob
	// KindEventOfPod is an Event about a pod.
	KindEventOfPod
	// KindEventOfNode is an Event about a node. It names no job: the kernel's
	// out-of-memory killer knows processes only.
	KindEventOfNode
	// KindEventOfOther is an Event about anything else.
	KindEventOfOther
	// KindAudit is an entry of an audit log; it is ignored: it tells what was
	// asked for, not what became of it.
	KindAudit
	// KindText is a line that is no JSON; it is ignored.
	KindText
)

// String is the name that logs and metrics use.
func (k Kind) String() string {
	switch k {
	case KindJobEvent:
		return "job_event"
	case KindPhaseEvent:
		return "phase_event"
	case KindEventOfJob:
		return "event_of_job"
	case KindEventOfPod:
		return "event_of_pod"
	case KindEventOfNode:
		return "event_of_node"
	case KindEventOfOther:
		return "event_of_other"
	case KindAudit:
		return "audit"
	case KindText:
		return "text"
	default:
		return "unknown"
	}
}

// Fields of a structured line.
const (
	fieldJobEvent   = "job_event"
	fieldPhaseEvent = "phase_event"
)

func (e *Entry) classify() error {
	switch {
	case present(e.JSONPayload):
		return e.classifyJSON()
	case present(e.ProtoPayload):
		if strings.Contains(e.LogName, "/logs/cloudaudit.googleapis.com") {
			e.Kind = KindAudit
		}
	case present(e.TextPayload):
		e.Kind = KindText
	}
	return nil
}

// classifyJSON goes by the log and the resource first: both are GKE's word. A
// container that prints an Event has printed a line.
func (e *Entry) classifyJSON() error {
	switch e.Resource.Type {
	case resourceCluster, resourcePod, resourceNode:
		if strings.HasSuffix(e.LogName, "/logs/events") {
			return e.readEvent()
		}
	case resourceContainer:
		return e.readLine()
	}
	return nil
}

func (e *Entry) readEvent() error {
	event := new(Event)
	if err := json.Unmarshal(e.JSONPayload, event); err != nil {
		return fmt.Errorf("%w: its Event: %w", ErrUndecodable, err)
	}
	e.Event = event
	switch o := &event.InvolvedObject; {
	case o.Kind == "Job" && strings.HasPrefix(o.APIVersion, "batch/"):
		e.Kind = KindEventOfJob
	case o.Kind == "Pod":
		e.Kind = KindEventOfPod
	case o.Kind == "Node":
		e.Kind = KindEventOfNode
	default:
		e.Kind = KindEventOfOther
	}
	return nil
}

func (e *Entry) readLine() error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.JSONPayload, &fields); err != nil {
		return nil //nolint:nilerr // a payload that is no object is a line like any other
	}
	jobEvent, phaseEvent := fields[fieldJobEvent], fields[fieldPhaseEvent]
	switch {
	case present(jobEvent) && present(phaseEvent):
		// Two events in one line: whoever printed it follows no contract of ours.
	case present(jobEvent):
		e.Kind, e.Line = KindJobEvent, jobEvent
	case present(phaseEvent):
		e.Kind, e.Line = KindPhaseEvent, phaseEvent
	}
	return nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

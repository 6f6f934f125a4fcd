package timeline

import "time"

// Capsule is what was left of a failed pod.
type Capsule struct {
	SpanID  string    `json:"span_id"`
	At      time.Time `json:"at"`
	Attempt int32     `json:"attempt"`
	Stage   string    `json:"stage"`
	Pod     string    `json:"pod"`
	Node    string    `json:"node,omitempty"`
	// Status is the pod's status as JSON, perhaps cut to size.
	Status string `json:"pod_status_json,omitempty"`
	Logs   []Log  `json:"logs,omitempty"`
	// Events are what Kubernetes said of the pod and its Job, oldest first.
	Events []KubernetesEvent `json:"kubernetes_events,omitempty"`
	// Incomplete says why something is missing.
	Incomplete string `json:"incomplete,omitempty"`
	// URI is where the whole capsule is, as gs://bucket/object.
	URI string `json:"uri,omitempty"`
}

// Log is the end of a container's log.
type Log struct {
	Container string `json:"container"`
	// Previous is true for the run before the last restart.
	Previous  bool   `json:"previous"`
	Tail      string `json:"tail"`
	Truncated bool   `json:"truncated"`
}

// KubernetesEvent is an Event object of Kubernetes.
type KubernetesEvent struct {
	At time.Time `json:"at,omitzero"`
	// Object is what it is about, as kind/name.
	Object string `json:"object"`
	// Type is "Normal" or "Warning".
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Count is how often it was seen; 0 when not said.
	Count int32 `json:"count,omitempty"`
}

// Judgement is a decision of recovery-job.
type Judgement struct {
	SpanID string    `json:"span_id"`
	At     time.Time `json:"at"`
	// Sentence says it in one line, Reasoning with all the evidence.
	Sentence  string `json:"sentence"`
	Reasoning string `json:"reasoning,omitempty"`
	RunID     string `json:"run_id,omitempty"`
	Rule      string `json:"rule,omitempty"`
	// Verdict is empty when the job was left as it is.
	Verdict     string    `json:"verdict,omitempty"`
	Evidence    string    `json:"evidence,omitempty"`
	Action      string    `json:"action,omitempty"`
	NextCheckAt time.Time `json:"next_check_at,omitzero"`
}

// Correction is a verdict that was replaced.
type Correction struct {
	SpanID       string    `json:"span_id"`
	At           time.Time `json:"at"`
	FromState    string    `json:"from_state"`
	FromEvidence string    `json:"from_evidence,omitempty"`
	ToState      string    `json:"to_state"`
	ToEvidence   string    `json:"to_evidence,omitempty"`
	Revision     int64     `json:"revision"`
	Message      string    `json:"message,omitempty"`
}

// Sent is an update that went out to the product.
type Sent struct {
	ID string `json:"id"`
	// At is when what it tells of became true, SentAt when it went out.
	At       time.Time `json:"at"`
	SentAt   time.Time `json:"sent_at,omitzero"`
	Revision int64     `json:"revision"`
	// Kind is a word such as "failed", "unknown" for one of a later release.
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Evidence string `json:"evidence,omitempty"`
	// Text is what the user read.
	Text string `json:"text"`
	By   string `json:"by,omitempty"`
}

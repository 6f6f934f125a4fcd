package web

import (
	"time"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// letterJSON is a letter as the API shows it; fields are only ever added.
type letterJSON struct {
	ID            string    `json:"id"`
	State         string    `json:"state"`
	Subscription  string    `json:"subscription"`
	Topic         string    `json:"topic"`
	Type          string    `json:"type"`
	EventID       string    `json:"event_id,omitempty"`
	JobID         string    `json:"job_id,omitempty"`
	Tenant        string    `json:"tenant,omitempty"`
	CorrelationID string    `json:"correlation_id,omitempty"`
	Attempts      int64     `json:"attempts"`
	Reason        string    `json:"reason"`
	Category      string    `json:"category"`
	Dependency    string    `json:"dependency,omitempty"`
	Fingerprint   string    `json:"fingerprint"`
	Count         int64     `json:"count"`
	PublishedAt   time.Time `json:"published_at,omitzero"`
	FirstSeenAt   time.Time `json:"first_seen_at"`
	LastSeenAt    time.Time `json:"last_seen_at"`
	PayloadSize   int64     `json:"payload_size"`
	PayloadSHA256 string    `json:"payload_sha256"`
	PayloadURI    string    `json:"payload_uri,omitempty"`
	Episode       int64     `json:"episode"`
	Replays       int64     `json:"replays"`
	AutoReplays   int64     `json:"auto_replays"`
	LastError     string    `json:"last_error,omitempty"`
	ClosedAt      time.Time `json:"closed_at,omitzero"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`

	Cleanup *cleanupJSON  `json:"cleanup,omitempty"`
	Claim   *claimJSON    `json:"claim,omitempty"`
	Pending []string      `json:"pending,omitempty"`
	Detail  *letterDetail `json:"detail,omitempty"`
}

type cleanupJSON struct {
	Action string    `json:"action"`
	Text   string    `json:"text"`
	At     time.Time `json:"at,omitzero"`
}

type claimJSON struct {
	By        string    `json:"by"`
	Operation string    `json:"operation,omitempty"`
	Auto      bool      `json:"auto"`
	At        time.Time `json:"at,omitzero"`
}

// letterDetail is what lists leave out.
type letterDetail struct {
	// Payload is null when the payload is in a bucket; see /payload.
	Payload    []byte          `json:"payload_base64"`
	Attributes []attributeJSON `json:"attributes"`
	Decoded    string          `json:"decoded"`
	History    []eventJSON     `json:"history"`
}

type attributeJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type eventJSON struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Who    string    `json:"who,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// summaryJSON is a letter without its detail.
func summaryJSON(l *letters.Letter) letterJSON {
	out := letterJSON{
		ID: l.ID, State: string(l.State), Subscription: l.Subscription, Topic: l.Topic, Type: l.Type,
		EventID: l.EventID, JobID: l.JobID, Tenant: l.Tenant, CorrelationID: l.CorrelationID,
		Attempts: l.Attempts, Reason: l.Reason, Category: string(l.Category), Dependency: l.Dependency,
		Fingerprint: l.Fingerprint, Count: l.Count, PublishedAt: l.PublishedAt,
		FirstSeenAt: l.FirstSeenAt, LastSeenAt: l.LastSeenAt,
		PayloadSize: l.PayloadSize, PayloadSHA256: l.PayloadSHA256, PayloadURI: l.PayloadURI,
		Episode: l.Episode, Replays: l.Replays, AutoReplays: l.AutoReplays, LastError: l.LastError,
		ClosedAt: l.ClosedAt, ExpiresAt: l.ExpiresAt,
	}
	if l.Cleanup.Action != "" {
		out.Cleanup = &cleanupJSON{Action: l.Cleanup.Action, Text: l.Cleanup.Text, At: l.Cleanup.At}
	}
	if l.Claim.By != "" {
		out.Claim = &claimJSON{By: l.Claim.By, Operation: l.Claim.Operation, Auto: l.Claim.Auto, At: l.Claim.At}
	}
	for _, step := range l.Pending {
		out.Pending = append(out.Pending, string(step))
	}
	return out
}

func summariesJSON(list []letters.Letter) []letterJSON {
	out := make([]letterJSON, len(list))
	for i := range list {
		out[i] = summaryJSON(&list[i])
	}
	return out
}

func detailJSON(l *letters.Letter) letterJSON {
	out := summaryJSON(l)
	out.Detail = &letterDetail{
		Payload: l.Payload, Decoded: l.Decoded,
		Attributes: make([]attributeJSON, len(l.Attributes)), History: make([]eventJSON, len(l.History)),
	}
	if l.Payload == nil && l.PayloadURI == "" {
		out.Detail.Payload = []byte{}
	}
	for i, a := range l.Attributes {
		out.Detail.Attributes[i] = attributeJSON{Key: a.Key, Value: a.Value}
	}
	for i, e := range l.History {
		out.Detail.History[i] = eventJSON{At: e.At, What: e.What, Who: e.Who, Reason: e.Reason}
	}
	return out
}

// operationJSON adds to an operation what programs would have to work out.
type operationJSON struct {
	letters.Operation
	Done int64 `json:"done"`
}

func viewOperation(o *letters.Operation) operationJSON {
	return operationJSON{Operation: *o, Done: o.Done()}
}

package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
)

// printer prints events, one line of JSON each. Only one goroutine uses it.
type printer struct {
	out io.Writer
	// torn says that the last write failed and may have left half a line.
	torn bool
}

// line has the field names of Cloud Logging. One of the events is set.
type line struct {
	Severity      string          `json:"severity"`
	Timestamp     string          `json:"timestamp"`
	Message       string          `json:"message"`
	EventID       string          `json:"event_id"`
	JobID         string          `json:"job_id"`
	CorrelationID string          `json:"correlation_id,omitempty"`
	JobEvent      json.RawMessage `json:"job_event,omitempty"`
	PhaseEvent    json.RawMessage `json:"phase_event,omitempty"`
}

func (p *printer) print(e event) error {
	text, err := p.encode(e)
	if err != nil {
		return fmt.Errorf("print event %s: %w", e.msg.GetEventId(), err)
	}
	if p.torn {
		// Half a line with a whole one behind it would be read as neither.
		text = append([]byte("\n"), text...)
	}
	_, err = p.out.Write(text)
	p.torn = err != nil
	if err != nil {
		return fmt.Errorf("print event %s: %w", e.msg.GetEventId(), err)
	}
	return nil
}

func (p *printer) encode(e event) ([]byte, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e.msg)
	if err != nil {
		return nil, err //nolint:wrapcheck // print wraps it
	}
	l := line{
		Severity: "INFO", Timestamp: e.msg.GetOccurredAt().AsTime().Format(time.RFC3339Nano), Message: "phase of job " + e.msg.GetJobId(),
		EventID: e.msg.GetEventId(), JobID: e.msg.GetJobId(), CorrelationID: e.msg.GetCorrelationId(), PhaseEvent: body,
	}
	if e.claim() != nil {
		l.Message, l.JobEvent, l.PhaseEvent = "state of job "+l.JobID, body, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text) // ends the line, and strips the spaces that protojson varies
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		return nil, err //nolint:wrapcheck // print wraps it
	}
	return text.Bytes(), nil
}

package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// MaxLine is how many bytes a printed line has at most. Cloud Logging cuts
// entries at 256 KB and agents cut lines sooner; what is cut is no JSON.
const MaxLine = 100_000

// LogWriter prints facts, one JSON line each, for Cloud Logging to carry: the
// second path, which shares nothing with the first but the cluster. A fact is
// confirmed once its line is written. It is safe for use by many goroutines.
type LogWriter struct {
	service, version string

	mu  sync.Mutex
	out io.Writer
	// torn says that the last write failed and may have left half a line.
	torn bool
}

// NewLogWriter returns a LogWriter on out, which must not be buffered: what is
// in a buffer is lost with the process.
func NewLogWriter(out io.Writer, service, version string) *LogWriter {
	return &LogWriter{service: service, version: version, out: out}
}

// Wait never waits: a log that cannot be written to blocks in Send.
func (w *LogWriter) Wait(ctx context.Context, _ []fact.Fact) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for the log: %w", err)
	}
	return nil
}

// Send writes all facts at once and returns one outcome each. A line that
// cannot be made is refused for good; if the write fails, all may be sent again.
func (w *LogWriter) Send(_ context.Context, facts []fact.Fact) []error {
	errs := make([]error, len(facts))
	var lines bytes.Buffer
	for i := range facts {
		line, err := w.line(facts[i])
		if err != nil {
			errs[i] = resilience.Permanent(fmt.Errorf("print event %s of job %s: %w", facts[i].EventID(), facts[i].JobID(), err))
			continue
		}
		lines.Write(line)
	}
	if lines.Len() == 0 {
		return errs
	}
	if err := w.write(lines.Bytes()); err != nil {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = resilience.Retryable(err)
			}
		}
	}
	return errs
}

func (w *LogWriter) write(lines []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.torn {
		// Half a line with a whole one behind it would be read as neither.
		if _, err := w.out.Write([]byte("\n")); err != nil {
			return fmt.Errorf("end a torn line of the log: %w", err)
		}
		w.torn = false
	}
	if _, err := w.out.Write(lines); err != nil {
		w.torn = true
		return fmt.Errorf("write %d bytes to the log: %w", len(lines), err)
	}
	return nil
}

// entry is a line, with the field names of Cloud Logging and of the service's
// other lines. Exactly one of the events is set.
type entry struct {
	Severity      string          `json:"severity"`
	Timestamp     string          `json:"timestamp"`
	Message       string          `json:"message"`
	Service       string          `json:"service"`
	Version       string          `json:"version,omitempty"`
	EventID       string          `json:"event_id"`
	JobID         string          `json:"job_id"`
	CorrelationID string          `json:"correlation_id,omitempty"`
	Kind          string          `json:"kind"`
	JobEvent      json.RawMessage `json:"job_event,omitempty"`
	PhaseEvent    json.RawMessage `json:"phase_event,omitempty"`
}

var errTooLong = errors.New("the line is too long, even without its details")

func (w *LogWriter) line(f fact.Fact) ([]byte, error) {
	m := f.Message()
	line, err := w.encode(f, m)
	if err == nil && len(line) > MaxLine {
		line, err = w.encode(f, shorten(m))
	}
	if err == nil && len(line) > MaxLine {
		return nil, errTooLong
	}
	return line, err
}

func (w *LogWriter) encode(f fact.Fact, m proto.Message) ([]byte, error) {
	event, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode it as JSON: %w", err)
	}
	e := entry{
		Severity: "INFO", Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
		Message: "witnessed " + f.Kind() + " " + f.Label(), Service: w.service, Version: w.version,
		EventID: f.EventID(), JobID: f.JobID(), CorrelationID: f.CorrelationID(), Kind: f.Kind(),
	}
	if f.Kind() == fact.KindPhase {
		e.PhaseEvent = event
	} else {
		e.JobEvent = event
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line) // ends the line, and strips the spaces that protojson varies
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("encode the line: %w", err)
	}
	return line.Bytes(), nil
}

// shorten leaves out what is long and only for people. What decides a status
// stays. Text of control characters grows sixfold in JSON.
func shorten(m proto.Message) proto.Message {
	m = proto.Clone(m)
	switch e := m.(type) {
	case *resiliencyv1.JobEvent:
		if s := e.GetStatusObserved(); s != nil {
			s.Detail = ""
		}
	case *resiliencyv1.PhaseEvent:
		e.Details = nil
	}
	return m
}

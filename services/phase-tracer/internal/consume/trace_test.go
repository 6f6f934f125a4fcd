package consume

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/service"
)

func TestHandler_LogsInTheTraceOfTheMessage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newHandler(&fakes{}, still)
	h.Log = zerolog.New(&out).Hook(service.TraceHook{ProjectID: "p"})
	span := messaging.Trace(map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	if err := h.HandlePhase(messaging.WithTrace(t.Context(), span), event(), messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	if line := out.String(); !strings.Contains(line, `"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`) ||
		!strings.Contains(line, `"message":"phase stored"`) {
		t.Errorf("line %s", line)
	}
	out.Reset()
	if err := h.HandlePhase(t.Context(), event(), messaging.Meta{}); err != nil || strings.Contains(out.String(), "googleapis") {
		t.Errorf("without a trace: %v, %s", err, out.String())
	}
}

package web

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// A bug in a replay costs its own request an answer, and nobody else the process.
func TestReplay_PanicsAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := newFixture(t, zerolog.New(&out))
	f.desk.replaying = func() { panic("a bug in a replay") }
	id := f.desk.add("team-a")
	want(t, f.post(operator, "/api/letters/"+id+"/replay", "{}"), http.StatusInternalServerError)
	reg, _ := f.parts.Registerer.(*prometheus.Registry)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if n := family.GetMetric()[0].GetCounter().GetValue(); family.GetName() == "resiliency_web_panics_total" && n != 1 {
			t.Errorf("%v panics are counted, want 1", n)
		}
	}
	// The stack is that of the bug.
	if log := out.String(); !strings.Contains(log, `"panic: a bug in a replay"`) || !strings.Contains(log, "(*desk).Replay") {
		t.Errorf("log: %s", log)
	}
}

// lines passes on what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "replay panicked") {
		l <- string(p)
	}
	return len(p), nil
}

func TestReplay_PanicsWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	said := make(lines, 1)
	f := newFixture(t, zerolog.New(said))
	f.patience = time.Millisecond
	release := make(chan struct{})
	f.desk.replaying = func() { <-release; panic("a bug in a replay") }
	id := f.desk.add("team-a")
	want(t, f.post(operator, "/api/letters/"+id+"/replay", "{}"), http.StatusServiceUnavailable, "not_sent_yet")
	close(release)
	select {
	case line := <-said:
		if !strings.Contains(line, id) || !strings.Contains(line, "(*desk).Replay") {
			t.Errorf("log: %s", line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing tells of the panic")
	}
}

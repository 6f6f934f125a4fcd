package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// The message to the developers names a few jobs of each kind; the log names all
// that are not settled or that people are to look at.
func TestRun_LogNamesWhatIsLeftToPeople(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mixed(b)
	ghost := backend("ghost", 7*time.Hour) // which the built-in rules leave to people
	ghost.Stage, ghost.Ordinal = "thumbnails", 40
	b.records.put(ghost)
	for i := range 21 {
		b.records.put(kubernetes(fmt.Sprintf("gone-%02d", i), 2*time.Hour))
	}
	b.records.decideFault = func(d *jobstore.Decision) error {
		if d.On.Record.JobID == "marked" {
			return errors.New("no answer")
		}
		return nil
	}
	var log bytes.Buffer
	b.Log = zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.InfoLevel)
	b.run(t)
	lines := map[string]string{}
	for line := range strings.Lines(log.String()) {
		var fields struct {
			Level string `json:"level"`
			JobID string `json:"job_id"`
			Fate  string `json:"fate"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields.JobID != "" {
			lines[fields.JobID] = strings.TrimSpace(fields.Level + " " + fields.Fate + " " + fields.Error)
		}
	}
	want := map[string]string{
		"gone": "warn withheld", "gone-00": "warn withheld", "gone-20": "warn withheld", "dark": "warn unjudged", "garbled": "warn unjudged",
		"marked": "warn failed decide on job marked: no answer", "stalled": "info written", "ghost": "info left", "alive": "",
	}
	for id, line := range want {
		if lines[id] != line {
			t.Errorf("%s is logged as %q, want %q", id, lines[id], line)
		}
	}
	log.Reset()
	b.Writer, b.Journal, b.Outbox, b.Fence = nil, nil, nil, nil
	if b.run(t); strings.Contains(log.String(), "job_id") {
		t.Errorf("a plan, which shows its jobs, logs them too:\n%s", log.String())
	}
}

// Evidence is shown where a person decides; what a run settles has it on record.
func TestRun_EvidenceOfWhatIsShown(t *testing.T) {
	t.Parallel()
	of := func(r *report.Report, id string) string {
		for _, it := range r.Items {
			if it.JobID == id {
				return it.Detail
			}
		}
		t.Errorf("nothing is said of %s", id)
		return ""
	}
	plan := newBench(t)
	mixed(plan)
	plan.Writer, plan.Journal, plan.Outbox, plan.Fence = nil, nil, nil, nil
	shown, err := json.Marshal(plan.run(t))
	if err != nil {
		t.Fatal(err)
	}
	var planned report.Report
	if err := json.Unmarshal(shown, &planned); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cluster main, live", "output gs://out/gone/: EMPTY", "newest phase: none"} {
		if detail := of(&planned, "gone"); !strings.Contains(detail, want) {
			t.Errorf("evidence of the job that is gone lacks %q:\n%s", want, detail)
		}
	}
	b := newBench(t)
	mixed(b)
	r := b.run(t)
	if of(r, "gone") != "" || of(r, "alive") != "" || !strings.Contains(of(r, "dark"), "no answer: 503") {
		t.Errorf("run: gone %q, alive %q, dark %q", of(r, "gone"), of(r, "alive"), of(r, "dark"))
	}
	b.opts.Only = "alive"
	if detail := of(b.run(t), "alive"); !strings.Contains(detail, "1 Kubernetes Jobs") {
		t.Errorf("asked for alone: %q", detail)
	}
}

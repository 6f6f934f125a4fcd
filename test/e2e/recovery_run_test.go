//go:build integration

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/envision/resiliency/test/stack"
)

const recoverer = "recovery-job"

// recovered is one run of recovery-job that has ended.
type recovered struct {
	*stack.Ended

	report recoveryReport
}

// recoveryReport is what it prints with --output=json.
type recoveryReport struct {
	RunID  string         `json:"run_id"`
	State  string         `json:"state"`
	Silent string         `json:"pipeline_silent"`
	Read   int            `json:"read"`
	Looked int            `json:"looked"`
	Sent   int            `json:"sent"`
	Jobs   []recoveryItem `json:"jobs"`
	Counts map[string]int `json:"counts"`
}

// recoveryItem is one job in it.
type recoveryItem struct {
	JobID    string `json:"job_id"`
	Rule     string `json:"rule"`
	Action   string `json:"action"`
	Verdict  string `json:"verdict"`
	Evidence string `json:"evidence"`
	Cause    string `json:"cause"`
	Reason   string `json:"reason"`
	Fate     string `json:"fate"`
	Sentence string `json:"sentence"`
}

// item is what a run says of a job, the zero value for nothing.
func (r *recovered) item(id string) recoveryItem {
	at := slices.IndexFunc(r.report.Jobs, func(it recoveryItem) bool { return it.JobID == id })
	if at < 0 {
		return recoveryItem{}
	}
	return r.report.Jobs[at]
}

// startRecovery starts the race-built recovery-job.
func (s *system) startRecovery(env []string, args ...string) *stack.Run {
	s.t.Helper()
	spec := stack.RecoveryJob(filepath.Join(root, ".run", "bin-race"))
	spec.Args = args
	// A lease is renewed against an emulator that all tests keep busy.
	spec.Env = append([]string{"OUTPUT=json", "MISSING_AFTER=0s", "FIRESTORE_TIMEOUT=20s"}, env...)
	run, err := s.StartRun(spec)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// recovery makes one run to its end, which must be that of the exit code, and
// expects the line by which alerts know that a run was made.
func (s *system) recovery(code int, env []string, args ...string) *recovered {
	s.t.Helper()
	return s.awaitRecovery(s.startRecovery(env, args...), code)
}

func (s *system) awaitRecovery(run *stack.Run, code int) *recovered {
	s.t.Helper()
	r := s.awaitReport(run, code)
	line, err := r.Line("recovery run ended")
	if err != nil || line["run_id"] != r.report.RunID || line["state"] != r.report.State {
		s.t.Errorf("summary %v, %v; the report has run %s, %s", line, err, r.report.RunID, r.report.State)
	}
	s.t.Logf("run %s: %s, %d read, %d looked at, %v, %d swept", r.report.RunID, r.report.State, r.report.Read, r.report.Looked, r.report.Counts, r.report.Sent)
	return r
}

// plan shows what a run would do.
func (s *system) plan(code int, env []string) *recovered {
	s.t.Helper()
	return s.awaitReport(s.startRecovery(env, "plan", "--output=json"), code)
}

func (s *system) awaitReport(run *stack.Run, code int) *recovered {
	s.t.Helper()
	ended, err := run.Wait(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	r := &recovered{Ended: ended}
	if ended.ExitCode != code {
		s.t.Fatalf("recovery-job ended with %d, want %d; its log: %s\n%s", ended.ExitCode, code, run.LogPath(), ended.Stderr)
	}
	if err := json.Unmarshal([]byte(ended.Stdout), &r.report); err != nil {
		s.t.Fatalf("recovery-job printed no report (%v):\n%s", err, ended.Stdout)
	}
	return r
}

// rules writes a rule file and returns the variable that names it.
func (s *system) rules(text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return "RULES=" + path
}

// snapshot is every job's document, by job.
func (s *system) snapshot() map[string]*firestore.DocumentSnapshot {
	s.t.Helper()
	docs, err := s.firestore.Collection("jobs").Documents(s.t.Context()).GetAll()
	if err != nil {
		s.t.Fatalf("read all records: %v", err)
	}
	all := map[string]*firestore.DocumentSnapshot{}
	for _, doc := range docs {
		all[doc.Ref.ID] = doc
	}
	return all
}

// inState counts the jobs that their records say are in a state. The documents are
// not read: a test that waits asks often.
func (s *system) inState(state string) int {
	s.t.Helper()
	query := s.firestore.Collection("jobs").Where("state", "==", state)
	result, err := query.NewAggregationQuery().WithCount("n").Get(s.t.Context())
	if err != nil {
		s.t.Fatalf("count the records that say %s: %v", state, err)
	}
	value, ok := result["n"].(*firestorepb.Value)
	if !ok {
		s.t.Fatalf("count of the records that say %s: %v", state, result)
	}
	return int(value.GetIntegerValue())
}

// runRecord is what is on record of a run.
func (s *system) runRecord(id string) map[string]any {
	s.t.Helper()
	doc, err := s.firestore.Collection("recovery_runs").Doc(id).Get(s.t.Context())
	if err != nil {
		s.t.Fatalf("read the record of run %s: %v", id, err)
	}
	return doc.Data()
}

// digest is all text of the message about a run, "" for none.
func (s *system) digest(runID string) string {
	s.t.Helper()
	for _, m := range shared.Slack.Messages(s.SlackChannel()) {
		if !strings.Contains(m.Blocks, runID) {
			continue
		}
		var blocks []struct {
			Text   struct{ Text string }
			Fields []struct{ Text string }
		}
		if err := json.Unmarshal([]byte(m.Blocks), &blocks); err != nil {
			s.t.Fatalf("blocks of a message in Slack: %v", err)
		}
		var text strings.Builder
		for _, b := range blocks {
			text.WriteString(b.Text.Text + "\n\n")
			for _, f := range b.Fields {
				text.WriteString(f.Text + "\n\n")
			}
		}
		return text.String()
	}
	return ""
}

// agedOutbox waits until whatever is in the outbox is so old that the end of a
// run takes it along: it leaves alone what may be on its way.
func (s *system) agedOutbox() {
	s.t.Helper()
	const age = 5 * time.Second
	docs, err := s.firestore.Collection("outbox").Documents(s.t.Context()).GetAll()
	if err != nil {
		s.t.Fatal(err)
	}
	var newest time.Time
	for _, doc := range docs {
		if at, _ := doc.Data()["created_at"].(time.Time); at.After(newest) {
			newest = at
		}
	}
	if wait := time.Until(newest.Add(age)); wait > 0 {
		pass(s.t, wait)
	}
}

// heard is when the jobs of a test that are silent were last heard of.
func heard() time.Time { return time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second) }

func field[T any](doc *firestore.DocumentSnapshot, path string) T {
	value, err := doc.DataAt(path)
	if err != nil {
		var none T
		return none
	}
	typed, _ := value.(T)
	return typed
}

// nextSecond waits for the next second of the clock: Kubernetes gives times in
// whole ones, and what is written now must be before them.
func nextSecond(t *testing.T) {
	t.Helper()
	pass(t, time.Until(time.Now().Truncate(time.Second).Add(time.Second+10*time.Millisecond)))
}

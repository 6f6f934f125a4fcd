package drive

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Report is the comparison of all records with the truth; it is what
// report.json holds.
type Report struct {
	Jobs    int `json:"jobs"`
	Correct int `json:"correct"`
	// Wrong records contradict Kubernetes or the scenario.
	Wrong int `json:"wrong"`
	// Lost jobs have no record, or one that has not ended.
	Lost int `json:"lost"`
	// Seconds is how long the whole run took; the caller sets it.
	Seconds   float64          `json:"seconds"`
	Scenarios []ScenarioReport `json:"scenarios"`
	// Sources is who told of the facts, where there are several; the caller sets it.
	Sources []SourceReport `json:"sources,omitempty"`
	// Problems names the jobs that are not correct, the first hundred.
	Problems []Problem `json:"problems,omitempty"`
}

// ScenarioReport is the part of one scenario.
type ScenarioReport struct {
	Name     string `json:"name"`
	Jobs     int    `json:"jobs"`
	Expected string `json:"expected"`
	Correct  int    `json:"correct"`
}

// SourceReport is what one source told status-updater.
type SourceReport struct {
	Source string `json:"source"`
	// First counts the facts that it was the first to bring.
	First int `json:"first"`
	// Again counts those that the record knew already.
	Again int `json:"again"`
}

// Problem is one job that is not correct.
type Problem struct {
	JobID   string `json:"job_id"`
	Verdict string `json:"verdict"`
	Problem string `json:"problem"`
}

const maxProblems = 100

func newReport(scenarios []Scenario) *Report {
	r := &Report{}
	for _, s := range scenarios {
		r.Scenarios = append(r.Scenarios, ScenarioReport{Name: s.Name, Expected: s.Expected})
	}
	return r
}

func (r *Report) add(p planned, verdict, problem string) {
	r.Jobs++
	for i := range r.Scenarios {
		if s := &r.Scenarios[i]; s.Name == p.scenario.Name {
			s.Jobs++
			if verdict == "correct" {
				s.Correct++
			}
		}
	}
	switch verdict {
	case "correct":
		r.Correct++
		return
	case "lost":
		r.Lost++
	default:
		r.Wrong++
	}
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{JobID: p.name, Verdict: verdict, Problem: problem})
	}
}

// Include adds a scenario that the caller has judged by itself: for each job why
// it is not as expected, "" if it is.
func (r *Report) Include(scenario, expected string, problems map[string]string) {
	s := &Scenario{Name: scenario, Expected: expected}
	r.Scenarios = append(r.Scenarios, ScenarioReport{Name: scenario, Expected: expected})
	for _, id := range slices.Sorted(maps.Keys(problems)) {
		verdict := "correct"
		if problems[id] != "" {
			verdict = "wrong"
		}
		r.add(planned{scenario: s, name: id}, verdict, problems[id])
	}
}

// Append adds the scenarios of another report, those of another plan.
func (r *Report) Append(other *Report) {
	r.Jobs, r.Correct = r.Jobs+other.Jobs, r.Correct+other.Correct
	r.Wrong, r.Lost = r.Wrong+other.Wrong, r.Lost+other.Lost
	r.Scenarios = append(r.Scenarios, other.Scenarios...)
	r.Problems = append(r.Problems, other.Problems[:min(len(other.Problems), max(0, maxProblems-len(r.Problems)))]...)
}

// Right reports whether nothing is wrong or lost.
func (r *Report) Right() bool { return r.Wrong == 0 && r.Lost == 0 && r.Correct == r.Jobs }

// Summary is the report in one line.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d jobs: %d correct, %d wrong, %d lost", r.Jobs, r.Correct, r.Wrong, r.Lost)
}

// Write stores the report as JSON, making the folder if need be.
func (r *Report) Write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Print writes the report as a short table, with the first problems below it.
func (r *Report) Print(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"Scenario", "Jobs", "Expected", "Correct"})
	for _, s := range r.Scenarios {
		t.AppendRow(table.Row{s.Name, s.Jobs, s.Expected, s.Correct})
	}
	t.AppendFooter(table.Row{"all", r.Jobs, "", r.Correct})
	t.Render()
	r.printSources(w)
	for i, p := range r.Problems {
		if i == 10 {
			fmt.Fprintf(w, "… and %d more in the report\n", len(r.Problems)-i)
			break
		}
		fmt.Fprintf(w, "%s %s: %s\n", p.Verdict, p.JobID, p.Problem)
	}
	fmt.Fprintf(w, "%s, in %.0f s\n", r.Summary(), r.Seconds)
}

func (r *Report) printSources(w io.Writer) {
	if len(r.Sources) == 0 {
		return
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"Source of facts", "Told first", "Told again"})
	for _, s := range r.Sources {
		t.AppendRow(table.Row{s.Source, s.First, s.Again})
	}
	t.Render()
}

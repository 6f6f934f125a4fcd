// Package bench measures what the product promises to be fast at, each figure
// beside a bare loop that does the least possible for the same effect, on warm
// emulators, in alternating rounds of one run. Absolute figures belong to the
// machine; the ratios are what a release is judged by.
//
// It asserts nothing: a slow machine must not fail a build.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/envision/resiliency/test/stack"
)

// Measure is one figure.
type Measure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Baseline is the bare loop's figure in the same run; nil where there is no
	// bare form of the thing.
	Baseline *float64 `json:"baseline"`
	// Ratio is value / baseline.
	Ratio *float64 `json:"ratio"`
}

// Report is what report.json holds.
type Report struct {
	Measures []Measure `json:"measures"`
}

func (r *Report) add(name, unit string, value float64) {
	r.Measures = append(r.Measures, Measure{Name: name, Unit: unit, Value: value})
}

func (r *Report) addRatio(name, unit string, value, baseline float64) {
	ratio := value / baseline
	r.Measures = append(r.Measures, Measure{Name: name, Unit: unit, Value: value, Baseline: &baseline, Ratio: &ratio})
}

// Options say where the benchmarks run.
type Options struct {
	// Dir is the run directory; the report is Dir/report.json.
	Dir string
	// ToolsDir holds the control plane's programs, BinDir the services'.
	ToolsDir, BinDir string
	// FilterFile is the path of logsink.FilterFile from here.
	FilterFile string
	// Only names what to measure; empty means everything.
	Only []string
	// Out takes the progress and the table.
	Out io.Writer
}

// measure is one group of figures.
type measure struct {
	name string
	take func(ctx context.Context, s *stack.Stack, r *Report) error
}

// measures lists the groups in the order they are taken.
func measures(o Options) []measure {
	return []measure{
		{"merge", func(_ context.Context, _ *stack.Stack, r *Report) error {
			fmt.Fprintln(o.Out, "measuring the merge rule (3 s)")
			measureMerge(r)
			return nil
		}},
		{"status-path", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureStatusPath(ctx, s, r, o.Out)
		}},
		{"latency", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureLatency(ctx, s, o.BinDir, r, o.Out)
		}},
		{"operations", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureOperations(ctx, s, o, r)
		}},
		{"dead-letters", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureLetters(ctx, s, o, r)
		}},
		{"recovery", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureRecovery(ctx, s, o, r)
		}},
		{"phases", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measurePhases(ctx, s, o, r)
		}},
		// Last, because what it creates stays in the cluster.
		{"streamer", func(ctx context.Context, s *stack.Stack, r *Report) error {
			return measureStreamer(ctx, s, o.BinDir, r, o.Out)
		}},
	}
}

// Run measures everything, or what Only names, writes the report and prints it.
func Run(ctx context.Context, o Options) (err error) {
	s, err := stack.Start(ctx, stack.Options{Dir: o.Dir, ToolsDir: o.ToolsDir, Out: o.Out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	report := &Report{}
	for _, m := range measures(o) {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		if err := m.take(ctx, s, report); err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	path := filepath.Join(o.Dir, "report.json")
	if err := report.write(path); err != nil {
		return err
	}
	report.print(o.Out)
	fmt.Fprintf(o.Out, "report: %s\n", path)
	return nil
}

func (r *Report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) print(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"Measure", "Value", "Unit", "Baseline", "Ratio"})
	for _, m := range r.Measures {
		row := table.Row{m.Name, fmt.Sprintf("%.4g", m.Value), m.Unit, "", ""}
		if m.Baseline != nil {
			row[3], row[4] = fmt.Sprintf("%.4g", *m.Baseline), fmt.Sprintf("%.2f", *m.Ratio)
		}
		t.AppendRow(row)
	}
	t.Render()
}

package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// How jobs are shown.
const (
	formatAuto  = "auto"
	formatTable = "table"
	formatJSON  = "json"
	formatNone  = "none"
)

// show writes the report for people or programs.
func show(out io.Writer, format, auto string, r *report.Report) error {
	if format == formatAuto {
		format = auto
	}
	switch format {
	case formatJSON:
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("show the run: %w", err)
		}
	case formatTable:
		showTable(out, r)
	}
	return nil
}

// sentenceWidth is where a sentence is broken into lines.
const sentenceWidth = 70

func showTable(out io.Writer, r *report.Report) {
	if r.Silent != "" {
		fmt.Fprintf(out, "Nothing is concluded from silence: %s.\n", r.Silent)
	}
	if len(r.Items) > 0 {
		t := table.NewWriter()
		t.SetOutputMirror(out)
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"job", "stage", "state", "rule", "would be", "reason", "because"})
		if !r.Plan {
			t.ResetHeaders()
			t.AppendHeader(table.Row{"job", "stage", "state", "rule", "verdict", "reason", "because"})
		}
		t.SetColumnConfigs([]table.ColumnConfig{{Number: 7, WidthMax: sentenceWidth, WidthMaxEnforcer: text.WrapSoft}})
		for i := range r.Items {
			it := &r.Items[i]
			t.AppendRow(table.Row{it.JobID, it.Stage, it.State, it.Rule, verdictOf(it), it.Reason, it.Sentence})
		}
		t.Render()
	}
	if len(r.Items) == 1 && r.Items[0].Detail != "" {
		fmt.Fprintf(out, "Evidence:\n%s\n", r.Items[0].Detail)
	}
	fmt.Fprintf(out, "%d due records read, %d jobs looked at, %d without a verdict", r.Read, r.Looked, r.Unsettled())
	if r.State != report.Done {
		fmt.Fprintf(out, "; %s: %s", r.State, r.Error)
	}
	fmt.Fprintln(out)
}

func verdictOf(it *report.Item) string {
	verdict := it.Action
	if it.Verdict != "" {
		verdict = it.Verdict
		if it.Evidence != "" {
			verdict += " (" + it.Evidence + ")"
		}
	}
	switch it.Fate {
	case report.FateWithheld, report.FateMoved, report.FateFailed:
		verdict += ", " + string(it.Fate)
	case report.FateWritten, report.FateLeft, report.FateUnjudged, report.FatePlanned:
	}
	return verdict
}

// progress draws on a terminal how many jobs were judged, and nothing elsewhere.
func progress(out io.Writer) (draw func(judged int), done func()) {
	file, ok := out.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return nil, func() {}
	}
	bars := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
	bar := bars.New(0, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("jobs looked at "), decor.CurrentNoUnit("%d")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return func(judged int) { bar.SetCurrent(int64(judged)) },
		func() { bar.SetTotal(-1, true); bars.Wait() }
}

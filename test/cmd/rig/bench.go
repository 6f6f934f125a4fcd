package main

import (
	"context"
	"os"

	"github.com/envision/resiliency/test/bench"
)

type benchCmd struct {
	Dir    string   `default:".run/bench" help:"Run directory; the report is report.json in it."`
	Tools  string   `default:".tools/bin" help:"Programs that make tools built."`
	Bin    string   `default:".run/bin" help:"Service programs that make build built."`
	Filter string   `default:"${filter}" help:"Filter of the log sink."`
	Only   []string `enum:"merge,status-path,latency,operations,dead-letters,recovery,phases,streamer" help:"Measure only these: ${enum}."`
}

// Run measures everything.
func (c *benchCmd) Run(ctx context.Context) error {
	return bench.Run(ctx, bench.Options{
		Dir: c.Dir, ToolsDir: c.Tools, BinDir: c.Bin, FilterFile: c.Filter, Only: c.Only, Out: os.Stdout,
	})
}

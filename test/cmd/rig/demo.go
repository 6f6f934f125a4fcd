package main

import (
	"context"
	"os"

	"github.com/envision/resiliency/test/demo"
)

type demoCmd struct {
	Dir    string `default:".run/demo" help:"Run directory; the report is report.json in it."`
	Tools  string `default:".tools/bin" help:"Programs that make tools built."`
	Bin    string `default:".run/bin" help:"Service programs that make build built."`
	Filter string `default:"${filter}" help:"Filter of the log sink."`
	Jobs   int    `default:"200" help:"How many Jobs to run."`
}

// Run fails if any record is wrong or lost.
func (c *demoCmd) Run(ctx context.Context) error {
	return demo.Run(ctx, demo.Options{
		Dir: c.Dir, ToolsDir: c.Tools, BinDir: c.Bin, FilterFile: c.Filter, Jobs: c.Jobs, Out: os.Stdout,
	})
}

// Command rig runs the whole system on this machine for a person: it starts and
// stops a local stack with all services in the background. It is what `make up`
// and `make down` call.
//
// It holds no logic of its own beyond that; package stack does the work.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/envision/resiliency/test/stack/logsink"
)

// cli is the command line. Each command lives in a file of its own.
type cli struct {
	Up     upCmd     `cmd:"" help:"Start the whole system in the background and return when it is ready."`
	Down   downCmd   `cmd:"" help:"Stop what up started."`
	Status statusCmd `cmd:"" help:"Show the parts and services and whether they are ready."`
	Env    envCmd    `cmd:"" help:"Print the environment of the running system, to be sourced by a shell."`
	Exec   execCmd   `cmd:"" help:"Run a program beside a stack without services."`
	Job    jobCmd    `cmd:"" help:"Print the record of a job of the running system."`
	Demo   demoCmd   `cmd:"" help:"Run real Jobs through the system and check every record."`
	Bench  benchCmd  `cmd:"" help:"Measure, and write the report."`
	Check  checkCmd  `cmd:"" help:"Tell what this machine lacks to run the system."`
	Serve  serveCmd  `cmd:"" hidden:"" help:"Run the whole system in the foreground."`
}

// places are the folders that most commands need.
type places struct {
	Dir    string `default:".run" help:"Run directory: logs, pids, env."`
	Tools  string `default:".tools/bin" help:"Programs that make tools built."`
	Bin    string `default:".run/bin" help:"Service programs that make build built."`
	Filter string `default:"${filter}" help:"Filter of the log sink."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var commands cli
	parser := kong.Must(&commands, kong.Name("rig"),
		kong.Description("Runs the whole system on this machine."), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Vars{"filter": logsink.FilterFile})
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1) //nolint:gocritic // the process ends, so does the signal handler
	}
}

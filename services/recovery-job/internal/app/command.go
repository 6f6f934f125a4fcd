package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"k8s.io/klog/v2"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// Exit codes beside those of pkg/service, which are 0, 1 and 2 as well: 1 says
// that some job could not be judged, 2 that the configuration is wrong.
const (
	exitOK            = 0
	exitConfiguration = 2
)

// commands is the first word of the command line. What follows run and plan is
// read by pkg/service.
type commands struct {
	Run struct {
		Args []string `arg:"" optional:"" passthrough:"" help:"Flags; recovery-job run --help lists them."`
	} `cmd:"" help:"Judge the jobs that are stuck and carry the verdicts out. The default."`
	Plan struct {
		Args []string `arg:"" optional:"" passthrough:"" help:"Flags; recovery-job plan --help lists them."`
	} `cmd:"" help:"Show every stuck job with its evidence and the verdict that it would get. Changes nothing."`
	CheckRules struct {
		File string `arg:"" help:"Rule file."`
	} `cmd:"" help:"Say everything that is wrong with a rule file, with line, column and key."`
}

// Main is the process: it reads the command and returns the code to exit with.
func Main(args []string, stdout, stderr *os.File) int {
	p := process{lookup: os.LookupEnv, stdout: stdout, stderr: stderr, logClients: logClients}
	return p.main(context.Background(), args)
}

// process is what the process has of the outside.
type process struct {
	lookup         func(string) (string, bool)
	stdout, stderr io.Writer
	// logClients makes libraries log as this process does.
	logClients func(zerolog.Logger)
}

// logClients is for the whole process: client-go logs through klog, which is one
// for all.
func logClients(log zerolog.Logger) {
	klog.SetLogger(logr.FromSlogHandler(zerolog.NewSlogHandler(
		log.Level(zerolog.WarnLevel).With().Str("component", "client-go").Logger())))
}

// main is Main for a caller that ends the process itself.
func (p *process) main(ctx context.Context, args []string) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && args[0] != "--help" && args[0] != "-h" {
		args = append([]string{"run"}, args...)
	}
	// Only the first word is for this parser, and the file of check-rules.
	known, rest := args[:1], args[1:]
	if args[0] == "check-rules" {
		known, rest = args, nil
	}
	var c commands
	helped := false
	parser, err := kong.New(&c, kong.Name(serviceName), kong.Description(description), kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }))
	if err != nil {
		return p.misused(err)
	}
	chosen, err := parser.Parse(known)
	switch {
	case helped:
		return exitOK
	case err != nil:
		return p.misused(err)
	}
	spec := service.Spec{Name: serviceName, Description: description, LookupEnv: p.lookup, Stdout: p.stdout, Stderr: p.stderr}
	switch chosen.Selected().Name {
	case "check-rules":
		return checkRules(c.CheckRules.File, p.stdout, p.stderr)
	case "plan":
		spec.Description, spec.LookupEnv = chosen.Selected().Help, quietly(p.lookup)
		return service.Run(ctx, spec, rest, p.plan)
	default:
		return service.Run(ctx, spec, rest, p.run)
	}
}

func (p *process) misused(err error) int {
	fmt.Fprintf(p.stderr, "%s: %v\n%s --help lists the commands.\n", serviceName, err, serviceName)
	return exitConfiguration
}

// quietly is the environment of a person's terminal: a plan neither takes a port
// that something else may have nor mixes its log with its table, unless told to.
func quietly(lookup func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if value, ok := lookup(name); ok && value != "" {
			return value, true
		}
		switch name {
		case "ADMIN_ADDR":
			return "127.0.0.1:0", true
		case "LOG_LEVEL":
			return "warn", true
		default:
			return "", false
		}
	}
}

// checkRules judges a rule file.
func checkRules(file string, stdout, stderr io.Writer) int {
	set, err := readRules(file)
	var wrong *rules.FileError
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "%s\n%d problems\n", wrong, len(wrong.Problems))
		return exitConfiguration
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", serviceName, err)
		return exitConfiguration
	}
	for _, w := range set.Warnings {
		fmt.Fprintf(stdout, "%s: warning: %s\n", file, w)
	}
	fmt.Fprintf(stdout, "%s: %d rules, nothing wrong\n", file, len(set.Rules))
	return exitOK
}

// readRules reads a rule file; the built-in rules when there is none.
func readRules(file string) (*rules.Set, error) {
	if file == "" {
		return rules.Defaults() //nolint:wrapcheck // it says what it is
	}
	data, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	return rules.Parse(file, data) //nolint:wrapcheck // it names the file
}

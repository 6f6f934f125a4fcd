package service

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// errHandled says that --help or --version was answered and nothing is to run.
var errHandled = errors.New("handled")

// ConfigError holds every error of a configuration, each a sentence.
type ConfigError struct {
	// Service is the name of the process.
	Service string
	// Problems are sentences that name the flag and the variable.
	Problems []string
}

// Error returns all problems as a list for a person.
func (e *ConfigError) Error() string {
	var b strings.Builder
	noun := "errors"
	if len(e.Problems) == 1 {
		noun = "error"
	}
	fmt.Fprintf(&b, "%s: the configuration has %d %s:\n", e.Service, len(e.Problems), noun)
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "  - %s\n", p)
	}
	fmt.Fprintf(&b, "%s --help lists all flags and environment variables.\n", e.Service)
	return b.String()
}

// exitRequest carries kong's wish to exit through its call stack.
type exitRequest struct{ code int }

// loader reads one configuration from arguments and environment.
type loader struct{ spec Spec }

// load fills cfg, a pointer to a struct that embeds Common. It returns a
// *ConfigError that holds every error there is, or errHandled.
func (l loader) load(cfg configuration, args []string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exitRequest); !ok {
				panic(r)
			}
			err = errHandled
		}
	}()
	args, problems, err := l.strip(cfg, args)
	if err != nil {
		return err
	}
	found := &findings{lookup: l.spec.LookupEnv}
	parser, err := l.parser(cfg, found)
	if err != nil {
		return err
	}
	_, parseErr := parser.Parse(args)
	problems = append(problems, found.problems...)
	problems = append(problems, sentences(parseErr)...)
	problems = append(problems, sentences(cfg.common().check())...)
	if v, ok := cfg.(validator); ok {
		problems = append(problems, sentences(v.Validate())...)
	}
	if len(problems) > 0 {
		return &ConfigError{Service: l.spec.Name, Problems: problems}
	}
	return nil
}

// parser builds a parser that fills cfg and tells found what is wrong.
func (l loader) parser(cfg configuration, found *findings) (*kong.Kong, error) {
	// The configuration is embedded in an empty grammar because kong would
	// otherwise call its Validate itself and stop at its error.
	parser, err := kong.New(&struct{}{},
		kong.Embed(cfg),
		kong.Name(l.spec.Name),
		kong.Description(l.spec.Description),
		kong.Vars{"version": l.spec.Name + " " + buildVersion()},
		kong.DefaultEnvars(""),
		kong.Writers(l.spec.Stdout, io.Discard),
		kong.Exit(func(code int) { panic(exitRequest{code}) }),
		kong.Resolvers(kong.ResolverFunc(found.resolve)),
		kong.ValueFormatter(describe),
	)
	if err != nil {
		return nil, fmt.Errorf("read the configuration struct of %s: %w", l.spec.Name, err)
	}
	return parser, found.attach(parser.Model.Node)
}

// strip removes from args what no flag or command accepts and tells what it
// was, so that the rest can still be judged. kong alone stops at the first.
func (l loader) strip(cfg configuration, args []string) (clean, problems []string, err error) {
	trace := func(args []string) (error, error) {
		parser, err := l.parser(cfg, &findings{lookup: l.spec.LookupEnv})
		if err != nil {
			return nil, err
		}
		ctx, err := kong.Trace(parser, args)
		return ctx.Error, err
	}
	clean = append(clean, args...)
	for {
		bad, err := trace(clean)
		if err != nil || bad == nil {
			return clean, problems, err
		}
		// The culprit follows the longest part that is accepted.
		at := len(clean) - 1
		for ; at > 0; at-- {
			part, err := trace(clean[:at])
			if err != nil {
				return nil, nil, err
			}
			if part == nil {
				break
			}
			bad = part
		}
		problems = append(problems, bad.Error())
		clean = cut(clean, at)
	}
}

// cut removes the argument at i, and with an unknown flag the value after it.
func cut(args []string, i int) []string {
	end := i + 1
	flag := strings.HasPrefix(args[i], "-") && !strings.Contains(args[i], "=")
	if flag && end < len(args) && !strings.HasPrefix(args[end], "-") {
		end++
	}
	return append(append([]string(nil), args[:i]...), args[end:]...)
}

// sentences splits a joined error into its parts.
func sentences(err error) []string {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, sentences(e)...)
		}
		return out
	}
	return []string{err.Error()}
}

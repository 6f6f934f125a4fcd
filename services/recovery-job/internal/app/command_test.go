package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// command runs the process without anything outside.
func command(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := process{lookup: lookup(env), stdout: &out, stderr: &errs, logClients: func(zerolog.Logger) {}}
	code = p.main(t.Context(), args)
	return code, out.String(), errs.String()
}

func TestMain_Commands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wrong, odd := filepath.Join(dir, "wrong.yaml"), filepath.Join(dir, "odd.yaml")
	for file, text := range map[string]string{
		wrong: "version: 1\nrules:\n  - name: a\n    do: nothing\n  - name: a\n    silent_for: soon\n",
		odd:   "version: 1\nrules:\n  - name: all\n    silent_for: 1h\n    do: investigate\n  - name: never\n    match:\n      stage: backend\n    silent_for: 2h\n    do: investigate\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name           string
		env            map[string]string
		args           []string
		code           int
		stdout, stderr []string
	}{
		{"help", nil, []string{"--help"}, 0, []string{"run ", "plan ", "check-rules"}, nil},
		{"help_of_plan", nil, []string{"plan", "--help"}, 0, []string{"--only=JOB", "Changes nothing", "$NAMESPACES"}, nil},
		{"help_of_run", nil, []string{"run", "--help"}, 0, []string{"--confirm-mass-failure", "$RUN_DEADLINE"}, nil},
		{"unknown_command", nil, []string{"heal"}, 2, nil, []string{"heal", "lists the commands"}},
		{"nothing_configured", nil, nil, 2, nil, []string{"3 errors", "CLUSTER"}},
		{"flags_alone_are_of_run", required(), []string{"--no-such-flag"}, 2, nil, []string{"the configuration has 1 error:", "unknown flag --no-such-flag"}},
		{"rules_that_are_right", nil, []string{"check-rules", "../rules/defaults.yaml"}, 0, []string{"nothing wrong"}, nil},
		{"rules_that_are_wrong", nil, []string{"check-rules", wrong}, 2, nil, []string{"line 4", "rules[0].do", "line 6", "silent_for"}},
		{"rules_that_are_odd", nil, []string{"check-rules", odd}, 0, []string{"warning", "never"}, nil},
		{"rules_that_are_not_there", nil, []string{"check-rules", filepath.Join(dir, "none")}, 2, nil, []string{"read the rules"}},
		{"no_file", nil, []string{"check-rules"}, 2, nil, []string{"<file>"}},
		{"two_files", nil, []string{"check-rules", odd, wrong}, 2, nil, []string{"unexpected argument"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, c.env, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("stdout lacks %q:\n%s", want, stdout)
				}
			}
			for _, want := range c.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
}

func TestQuietly(t *testing.T) {
	t.Parallel()
	get := quietly(lookup(map[string]string{"LOG_LEVEL": "debug", "ADMIN_ADDR": "", "CLUSTER": "main"}))
	for name, want := range map[string]string{"LOG_LEVEL": "debug", "ADMIN_ADDR": "127.0.0.1:0", "CLUSTER": "main", "NAMESPACES": ""} {
		if got, _ := get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

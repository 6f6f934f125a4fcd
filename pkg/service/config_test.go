package service

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testConfig has a value of every kind that services use.
type testConfig struct {
	Common `embed:""`

	Cluster    string            `help:"Name of the cluster." env:"CLUSTER" required:""`
	Mode       string            `help:"How to publish." enum:"pubsub,log" default:"pubsub"`
	Shards     int               `help:"Shards." default:"16"`
	Resync     bool              `help:"Publish all again."`
	Interval   time.Duration     `help:"Interval." default:"1m"`
	Namespaces map[string]string `help:"Namespaces and tenants." env:"NAMESPACES" required:"" mapsep:","`
}

func (c *testConfig) Validate() error {
	var errs []error
	if c.Shards < 1 {
		errs = append(errs, fmt.Errorf("SHARDS (--shards): must be at least 1, is %d", c.Shards))
	}
	if c.Cluster == "bad" {
		errs = append(errs, errors.New("CLUSTER (--cluster): bad is reserved"))
	}
	return errors.Join(errs...)
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// good is the least environment that testConfig accepts.
func good(changes ...string) map[string]string {
	env := map[string]string{"GOOGLE_CLOUD_PROJECT": "p", "CLUSTER": "c", "NAMESPACES": "a=t1,b=t2"}
	for i := 0; i < len(changes); i += 2 {
		env[changes[i]] = changes[i+1]
	}
	return env
}

func loadTest(t *testing.T, env map[string]string, args ...string) (*testConfig, string, error) {
	t.Helper()
	var out bytes.Buffer
	spec := Spec{Name: "tester", Description: "Tests.", LookupEnv: lookup(env), Stdout: &out}
	cfg := new(testConfig)
	err := loader{spec: spec}.load(cfg, args)
	return cfg, out.String(), err
}

func TestLoad_sources(t *testing.T) {
	t.Parallel()
	env := good("SHARDS", "4", "INTERVAL", "", "RESYNC", "true", "ADMIN_ADDR", "127.0.0.1:0")
	cfg, _, err := loadTest(t, env, "--shards=8", "--log-level", "debug")
	if err != nil {
		t.Fatal(err)
	}
	want := &testConfig{
		Common: Common{
			ProjectID: "p", LogLevel: "debug", LogFormat: "json", AdminAddr: "127.0.0.1:0",
			StartupBudget: 20 * time.Second, ShutdownBudget: 20 * time.Second,
		},
		Cluster: "c", Mode: "pubsub", Shards: 8, Resync: true, Interval: time.Minute,
		Namespaces: map[string]string{"a": "t1", "b": "t2"},
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestLoad_problems(t *testing.T) {
	t.Parallel()
	const (
		noProject    = "GOOGLE_CLOUD_PROJECT (--google-cloud-project) is required but not set"
		noCluster    = "CLUSTER (--cluster) is required but not set"
		noNamespaces = "NAMESPACES (--namespaces) is required but not set"
	)
	cases := []struct {
		name string
		env  map[string]string
		args []string
		want []string
	}{
		{name: "all_required_missing", want: []string{noProject, noCluster, noNamespaces}},
		{
			name: "every_kind_at_once",
			env: map[string]string{
				"GOOGLE_CLOUD_PROJECT": "", "SHUTDOWN_BUDGET": "5 parsecs", "INTERVAL": "-", "LOG_LEVEL": "loud",
				"SHARDS": "0", "CLUSTER": "bad", "NAMESPACES": "a", "ADMIN_ADDR": "nowhere", "RESYNC": "perhaps",
			},
			args: []string{"extra", "--bogus", "1", "--mode=carrier-pigeon", "--startup-budget", "-x", "--shard=3"},
			want: []string{
				"unknown flag --bogus",
				`unknown flag -x, did you mean "-h"?`,
				"unexpected argument extra",
				`unknown flag --shard, did you mean "--shards"?`,
				noProject,
				`SHUTDOWN_BUDGET (--shutdown-budget): "5 parsecs" is not a duration such as 30s or 5m`,
				`INTERVAL (--interval): "-" is not a duration such as 30s or 5m`,
				`LOG_LEVEL (--log-level): "loud" is not one of debug, info, warn, error`,
				`MODE (--mode): "carrier-pigeon" is not one of pubsub, log`,
				"STARTUP_BUDGET (--startup-budget) needs a value",
				`RESYNC (--resync): "perhaps" is neither true nor false`,
				`NAMESPACES (--namespaces): "a": expected "<key>=<value>" but got "a"`,
				`ADMIN_ADDR (--admin-addr): "nowhere" is not an address such as :8081 or 127.0.0.1:0`,
				"SHARDS (--shards): must be at least 1, is 0",
				"CLUSTER (--cluster): bad is reserved",
			},
		},
		{name: "value_missing_at_end", env: good(), args: []string{"--cluster"}, want: []string{"CLUSTER (--cluster) needs a value"}},
		{name: "required_but_empty_flag", env: good(), args: []string{"--cluster="}, want: []string{"CLUSTER (--cluster) is required but empty"}},
		{name: "number", env: good("SHARDS", "many"), want: []string{`SHARDS (--shards): "many" is not a whole number that fits int`}},
		{name: "zero_budget", env: good("SHUTDOWN_BUDGET", "0s"), want: []string{"SHUTDOWN_BUDGET (--shutdown-budget): must be above zero, is 0s"}},
		{name: "flag_beats_bad_variable", env: good("SHARDS", "many"), args: []string{"--shards=2"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := loadTest(t, tc.env, tc.args...)
			var got []string
			var wrong *ConfigError
			if errors.As(err, &wrong) {
				got = wrong.Problems
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sorted(tc.want), sorted(got)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad_help_shows_flags_and_variables(t *testing.T) {
	t.Parallel()
	// Help is given even when all else is wrong.
	_, out, err := loadTest(t, nil, "--bogus", "--help")
	if !errors.Is(err, errHandled) {
		t.Fatalf("error = %v, want handled", err)
	}
	for _, want := range []string{
		"--google-cloud-project", "$GOOGLE_CLOUD_PROJECT", "--shutdown-budget", "$SHUTDOWN_BUDGET",
		"--cluster", "required, $CLUSTER", "--mode", "$MODE", "20s", "--version",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("help lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "$VERSION") {
		t.Errorf("help offers a variable for --version:\n%s", out)
	}
}

func TestLoad_version(t *testing.T) {
	t.Parallel()
	_, out, err := loadTest(t, nil, "--version")
	if !errors.Is(err, errHandled) {
		t.Fatalf("error = %v, want handled", err)
	}
	if want := "tester " + buildVersion() + "\n"; out != want {
		t.Errorf("version = %q, want %q", out, want)
	}
}

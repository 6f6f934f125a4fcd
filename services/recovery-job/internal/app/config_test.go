package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// lookup is an environment of these variables.
func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// load lets the service read its configuration, and nothing more.
func load(t *testing.T, env map[string]string, args ...string) (code int, output string, cfg *Config) {
	t.Helper()
	var out bytes.Buffer
	code = service.Main(service.Spec{Name: serviceName, Stdout: &out, Stderr: &out, LookupEnv: lookup(env)}, args,
		func(_ context.Context, _ *service.Runtime, c *Config) error {
			cfg = c
			return nil
		})
	return code, out.String(), cfg
}

func required() map[string]string {
	return map[string]string{
		"GOOGLE_CLOUD_PROJECT": "p", "ADMIN_ADDR": "127.0.0.1:0", "CLUSTER": "main", "NAMESPACES": "etl=a, training=b",
	}
}

func TestConfig_Defaults(t *testing.T) {
	t.Parallel()
	code, output, cfg := load(t, required())
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	want := &Config{
		Cluster: "main", Namespaces: "etl=a, training=b", Unclaimed: true,
		FirestoreDatabase: "(default)", FirestoreTimeout: 5 * time.Second, Shards: 16, Limit: 20000, Output: "auto",
		Parallel: 16, RunDeadline: 45 * time.Minute, ProbeTimeout: 20 * time.Second, MissingAfter: 5 * time.Minute,
		LeaseTTL: 30 * time.Second, LeaseWait: time.Minute, MassFailurePercent: 20, MassFailureAtLeast: 20,
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Common", "Notify"), cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if len(cfg.rules.Rules) == 0 || cfg.guard() != judge.DefaultGuard() {
		t.Errorf("%d rules, guard %+v", len(cfg.rules.Rules), cfg.guard())
	}
	tenants, err := cfg.tenants()
	if diff := cmp.Diff(map[string]string{"etl": "a", "training": "b"}, tenants); diff != "" || err != nil {
		t.Errorf("%v, tenants (-want +got):\n%s", err, diff)
	}
}

func TestConfig_FlagsChooseJobs(t *testing.T) {
	t.Parallel()
	code, output, cfg := load(t, required(), "--only=j-1", "--rule=backend", "--limit=3", "--output=json", "--no-unclaimed", "--confirm-mass-failure")
	if code != 0 || cfg.Only != "j-1" || cfg.Rule != "backend" || cfg.Limit != 3 || cfg.Output != formatJSON || cfg.Unclaimed || !cfg.guard().Confirmed {
		t.Errorf("exit code %d, %+v\n%s", code, cfg, output)
	}
}

func TestConfig_SaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nrules:\n  - name: a\n    silence: 1m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, output, _ := load(t, map[string]string{
		"CLUSTER": "-", "NAMESPACES": "etl,Etl=a,x=a,x=b,y=*", "RULES": file, "SHARDS": "0", "LIMIT": "-1", "PARALLEL": "0",
		"MASS_FAILURE_PERCENT": "101", "MASS_FAILURE_AT_LEAST": "-1", "FIRESTORE_TIMEOUT": "1h", "RUN_DEADLINE": "0s",
		"PROBE_TIMEOUT": "1ms", "LEASE_TTL": "1ms", "LEASE_WAIT": "-1s", "MISSING_AFTER": "-1s", "ONLY": "a/b", "OUTPUT": "xml", "SLACK_TOKEN": "xoxb-secret",
	})
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{
		"GOOGLE_CLOUD_PROJECT", "CLUSTER (--cluster)", `"etl" is not of the form namespace=tenant`, `"Etl" is not the name of a namespace`,
		`namespace "x" is given twice`, `"*" is not the name of a tenant`, "RULES (--rules)", "line 4, column 5", "silence",
		"SHARDS (--shards): must be from 1 to 1024, is 0", "LIMIT (--limit)", "PARALLEL (--parallel)", "MASS_FAILURE_PERCENT",
		"MASS_FAILURE_AT_LEAST", "FIRESTORE_TIMEOUT", "RUN_DEADLINE", "PROBE_TIMEOUT", "LEASE_TTL", "LEASE_WAIT", "MISSING_AFTER", "ONLY (--only)",
		"OUTPUT (--output)", "SLACK_CHANNEL",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("output lacks %q:\n%s", want, output)
		}
	}
	if strings.Contains(output, "xoxb-secret") {
		t.Error("the token is shown")
	}
	env := required()
	env["RULE"], env["RULES"] = "backnd", filepath.Join(t.TempDir(), "none.yaml")
	if code, output, _ := load(t, env); code != 2 || !strings.Contains(output, "none.yaml") {
		t.Errorf("a rule file that is not there: %d, %s", code, output)
	}
	env["RULES"] = ""
	if code, output, _ := load(t, env); code != 2 || !strings.Contains(output, `there is no rule "backnd", but backend`) {
		t.Errorf("a rule that does not exist: %d, %s", code, output)
	}
}

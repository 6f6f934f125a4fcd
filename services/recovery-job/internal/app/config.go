package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// Config is the configuration of run and plan, each field a flag and an
// environment variable.
type Config struct {
	service.Common `embed:""`
	// Notify is where developers are told.
	Notify notify.Config `embed:""`

	// Cluster and Namespaces are as event-streamer's for the same cluster.
	Cluster    string `name:"cluster" env:"CLUSTER" required:"" placeholder:"NAME" help:"Name of the cluster whose jobs are judged, as event-streamer's there."`
	Namespaces string `name:"namespaces" env:"NAMESPACES" required:"" placeholder:"NAMESPACE=TENANT,..." help:"Namespaces that are looked into, each with its tenant, as event-streamer's there."`
	// Kubeconfig is a path, or several as in the variable of that name.
	Kubeconfig string `name:"kubeconfig" env:"KUBECONFIG" placeholder:"PATH" help:"Access to the cluster; without it, that of the pod this runs in."`
	// Unclaimed gives the jobs that no cluster has seen to this process.
	Unclaimed bool `name:"unclaimed" env:"UNCLAIMED" default:"true" negatable:"" help:"Judge jobs that no cluster has seen yet; of several clusters, exactly one does."`
	// Rules is the rule file.
	Rules string `name:"rules" env:"RULES" placeholder:"FILE" help:"Rule file (recovery-job check-rules judges it); without one, the built-in rules."`

	// FirestoreDatabase is the database that holds the records.
	FirestoreDatabase string `name:"firestore-database" env:"FIRESTORE_DATABASE" default:"(default)" help:"Firestore database that holds the records."`
	// FirestoreTimeout bounds one call to Firestore.
	FirestoreTimeout time.Duration `name:"firestore-timeout" env:"FIRESTORE_TIMEOUT" default:"5s" help:"How long one call to Firestore may take."`
	// Shards is over how many shards records are spread.
	Shards int `name:"shards" env:"SHARDS" default:"16" help:"Number of shards of the records, as in status-updater. May be raised, never lowered."`

	// Only, Rule and Limit choose jobs.
	Only  string `name:"only" env:"ONLY" placeholder:"JOB" help:"Judge this job and no other, whether or not it is due."`
	Rule  string `name:"rule" env:"RULE" placeholder:"NAME" help:"Judge only jobs of this rule."`
	Limit int    `name:"limit" env:"LIMIT" default:"20000" help:"How many jobs one run judges at most; the next one goes on from there. 0 for all."`
	// Output is how jobs are shown.
	Output string `name:"output" env:"OUTPUT" default:"auto" enum:"auto,table,json,none" help:"How jobs are shown on stdout: ${enum}; auto is a table for plan and none for run."`

	// Parallel is how many jobs are judged at once.
	Parallel int `name:"parallel" env:"PARALLEL" default:"16" help:"How many jobs are judged at once."`
	// RunDeadline bounds a run.
	RunDeadline time.Duration `name:"run-deadline" env:"RUN_DEADLINE" default:"45m" help:"How long a run may take; keep it below activeDeadlineSeconds. The next one goes on from there."`
	// ProbeTimeout bounds one call to the cluster, and one to the bucket.
	ProbeTimeout time.Duration `name:"probe-timeout" env:"PROBE_TIMEOUT" default:"20s" help:"How long one call to the cluster or the bucket may take; all calls about one job's output, three times as long."`
	// MissingAfter is when a Kubernetes Job ought to have a record.
	MissingAfter time.Duration `name:"missing-after" env:"MISSING_AFTER" default:"5m" help:"How old a labelled Kubernetes Job without a record must be to get one from here."`
	// LeaseTTL and LeaseWait are about the lease that keeps two runs apart.
	LeaseTTL  time.Duration `name:"lease-ttl" env:"LEASE_TTL" default:"30s" help:"After this long without a sign of life another run may take over."`
	LeaseWait time.Duration `name:"lease-wait" env:"LEASE_WAIT" default:"1m" help:"How long to wait for another run to end or to be taken over."`

	// MassFailure* are the guard against a fault of ours.
	MassFailurePercent int  `name:"mass-failure-percent" env:"MASS_FAILURE_PERCENT" default:"20" help:"Verdicts that fail a job because nothing is there are withheld if more than this percentage of the jobs looked at get one."`
	MassFailureAtLeast int  `name:"mass-failure-at-least" env:"MASS_FAILURE_AT_LEAST" default:"20" help:"So many of them are carried out whatever the percentage."`
	ConfirmMassFailure bool `name:"confirm-mass-failure" env:"CONFIRM_MASS_FAILURE" help:"Carry them out: somebody has looked."`

	rules *rules.Set
}

// Validate returns everything that is wrong and that no tag can express. It reads
// the rule file, whose errors are errors of the configuration.
func (c *Config) Validate() error {
	errs := []error{c.Notify.Check()}
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.Cluster != "" && job.CheckID(c.Cluster) != nil {
		wrong("CLUSTER", "cluster", "a name of at most 63 letters, digits, '-', '_' or '.'", fmt.Sprintf("%q", c.Cluster))
	}
	if _, err := c.tenants(); err != nil {
		errs = append(errs, err)
	}
	if err := c.readRules(); err != nil {
		errs = append(errs, err)
	}
	if c.FirestoreDatabase == "" {
		wrong("FIRESTORE_DATABASE", "firestore-database", "a name", `""`)
	}
	if c.Only != "" && job.CheckID(c.Only) != nil {
		wrong("ONLY", "only", "the id of a job", fmt.Sprintf("%q", c.Only))
	}
	c.checkNumbers(wrong)
	return errors.Join(errs...)
}

func (c *Config) checkNumbers(wrong func(variable, flag, rule string, value any)) {
	for _, v := range []struct {
		variable, flag  string
		value, from, to int
	}{
		{"SHARDS", "shards", c.Shards, 1, 1024}, {"LIMIT", "limit", c.Limit, 0, 1_000_000},
		{"PARALLEL", "parallel", c.Parallel, 1, 256},
		{"MASS_FAILURE_PERCENT", "mass-failure-percent", c.MassFailurePercent, 0, 100},
		{"MASS_FAILURE_AT_LEAST", "mass-failure-at-least", c.MassFailureAtLeast, 0, 1_000_000},
	} {
		if v.value < v.from || v.value > v.to {
			wrong(v.variable, v.flag, fmt.Sprintf("from %d to %d", v.from, v.to), v.value)
		}
	}
	for _, v := range []struct {
		variable, flag  string
		value, from, to time.Duration
	}{
		{"FIRESTORE_TIMEOUT", "firestore-timeout", c.FirestoreTimeout, 100 * time.Millisecond, time.Minute},
		{"RUN_DEADLINE", "run-deadline", c.RunDeadline, time.Second, 24 * time.Hour},
		{"PROBE_TIMEOUT", "probe-timeout", c.ProbeTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"MISSING_AFTER", "missing-after", c.MissingAfter, 0, 24 * time.Hour},
		{"LEASE_TTL", "lease-ttl", c.LeaseTTL, time.Second, time.Hour},
		{"LEASE_WAIT", "lease-wait", c.LeaseWait, 0, 24 * time.Hour},
	} {
		if v.value < v.from || v.value > v.to {
			wrong(v.variable, v.flag, fmt.Sprintf("from %s to %s", v.from, v.to), v.value)
		}
	}
}

// readRules reads the rule file and finds the rule that was asked for.
func (c *Config) readRules() error {
	set, err := readRules(c.Rules)
	if err != nil {
		return fmt.Errorf("RULES (--rules): %w", err)
	}
	c.rules = set
	if c.Rule == "" {
		return nil
	}
	names := make([]string, len(set.Rules))
	for i := range set.Rules {
		if names[i] = set.Rules[i].Name; names[i] == c.Rule {
			return nil
		}
	}
	return fmt.Errorf("RULE (--rule): there is no rule %q, but %s", c.Rule, strings.Join(names, ", "))
}

func (c *Config) guard() judge.Guard {
	return judge.Guard{Percent: c.MassFailurePercent, AtLeast: c.MassFailureAtLeast, Confirmed: c.ConfirmMassFailure}
}

// tenants reads Namespaces into the tenant of each namespace.
func (c *Config) tenants() (map[string]string, error) {
	if c.Namespaces == "" {
		return nil, nil //nolint:nilnil // its absence is told by its tag
	}
	out := map[string]string{}
	var errs []error
	wrongf := func(format, value string) {
		errs = append(errs, fmt.Errorf("NAMESPACES (--namespaces): "+format, value))
	}
	for pair := range strings.SplitSeq(c.Namespaces, ",") {
		ns, tenant, ok := strings.Cut(strings.TrimSpace(pair), "=")
		_, twice := out[ns]
		switch {
		case !ok:
			wrongf("%q is not of the form namespace=tenant", pair)
		case len(validation.IsDNS1123Label(ns)) > 0:
			wrongf("%q is not the name of a namespace", ns)
		case job.CheckID(tenant) != nil:
			wrongf("%q is not the name of a tenant: it must be 1 to 63 letters, digits, '-', '_' or '.'", tenant)
		case twice:
			wrongf("namespace %q is given twice", ns)
		default:
			out[ns] = tenant
		}
	}
	return out, errors.Join(errs...)
}

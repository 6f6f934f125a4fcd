package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/service"
)

// Config is the configuration of event-streamer, each field a flag and an
// environment variable.
type Config struct {
	service.Common `embed:""`

	// Cluster names the cluster. It is part of every event id: two clusters of
	// one name would pass for each other, and a renamed one says everything anew.
	Cluster string `name:"cluster" env:"CLUSTER" required:"" placeholder:"NAME" help:"Name of the cluster that is watched. Unique, and never to be changed."`
	// Namespaces is the allow-list, with the tenant that each belongs to.
	Namespaces string `name:"namespaces" env:"NAMESPACES" required:"" placeholder:"NAMESPACE=TENANT,..." help:"Namespaces that are watched, each with its tenant."`
	// Kubeconfig is a path, or several as in the variable of that name.
	Kubeconfig string `name:"kubeconfig" env:"KUBECONFIG" placeholder:"PATH" help:"Access to the cluster; without it, that of the pod this runs in."`
	// Workers is how many Jobs are published at once.
	Workers int `name:"workers" env:"WORKERS" default:"16" help:"How many Jobs' facts are published at once."`
	// MaxPending bounds the memory that unconfirmed facts take. What the watches show
	// beyond it is kept as changes of objects, which the watch bounds.
	MaxPending int `name:"max-pending" env:"MAX_PENDING" default:"10000" help:"How many unconfirmed facts are kept before no more are made of what the watches show."`
	// StallLimit is what liveness goes by.
	StallLimit time.Duration `name:"stall-limit" env:"STALL_LIMIT" default:"3m" help:"Liveness fails when facts wait and nothing was tried for this long."`
	// Publish is where facts go. The log needs no Pub/Sub at all.
	Publish string `name:"publish" env:"PUBLISH" default:"pubsub" enum:"pubsub,log" help:"Where facts go: ${enum}. With log, each is one JSON line on stdout."`
	// Resync makes the process a one-off: beside a leader, without a Lease.
	Resync bool `name:"resync" env:"RESYNC" help:"Publish everything that the cluster shows once more, then exit: 0 if all is confirmed."`
	// Capsules is about what failed pods leave behind.
	Capsules Capsules `embed:""`
	// Election is about replicas.
	Election Election `embed:""`
}

// minStall is above the 30 s that the publisher tries a message for.
const minStall = time.Minute

// Validate returns everything that is wrong and that no tag can express.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.Cluster != "" && job.CheckID(c.Cluster) != nil {
		wrong("CLUSTER", "cluster", "a name of at most 63 letters, digits, '-', '_' or '.'", fmt.Sprintf("%q", c.Cluster))
	}
	if _, err := c.tenants(); err != nil {
		errs = append(errs, err)
	}
	if c.Workers < 1 || c.Workers > 256 {
		wrong("WORKERS", "workers", "from 1 to 256", c.Workers)
	}
	if c.MaxPending < 1 {
		wrong("MAX_PENDING", "max-pending", "1 or more", c.MaxPending)
	}
	if c.StallLimit < minStall {
		wrong("STALL_LIMIT", "stall-limit", "at least "+minStall.String(), c.StallLimit)
	}
	c.Capsules.check(wrong)
	c.Election.check(wrong)
	return errors.Join(errs...)
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

// namespaces returns the allow-list in a fixed order.
func namespaces(tenants map[string]string) []string { return slices.Sorted(maps.Keys(tenants)) }

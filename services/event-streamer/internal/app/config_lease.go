package app

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/envision/resiliency/services/event-streamer/internal/lease"
)

// Where facts go.
const (
	publishPubSub = "pubsub"
	publishLog    = "log"
)

// Election is how replicas agree on the one that publishes, and where they keep
// how far it has come.
type Election struct {
	// Enabled is off for a process that is alone for certain.
	Enabled bool `name:"leader-election" env:"LEADER_ELECTION" default:"true" negatable:"" help:"Publish only while holding a Lease, so that several replicas may run."`
	// Namespace of the Lease.
	Namespace string `name:"lease-namespace" env:"LEASE_NAMESPACE" placeholder:"NAMESPACE" help:"Namespace of the Lease; that of the pod by default, or outside a cluster the first of NAMESPACES."`
	// Name of the Lease, and the beginning of that of the watermark's ConfigMap.
	Name string `name:"lease-name" env:"LEASE_NAME" placeholder:"NAME" help:"Name of the Lease; with -watermark behind it, of the ConfigMap with the watermark. event-streamer by default, event-streamer-witness with --publish=log."`
	// Duration, RenewDeadline and RetryPeriod: see lease.Config.
	Duration      time.Duration `name:"lease-duration" env:"LEASE_DURATION" default:"15s" help:"Within this time a standby has taken over from a leader that died."`
	RenewDeadline time.Duration `name:"renew-deadline" env:"RENEW_DEADLINE" default:"8s" help:"After how long without renewal the leader stands down."`
	RetryPeriod   time.Duration `name:"retry-period" env:"RETRY_PERIOD" default:"1s" help:"Time between tries to take or renew the Lease."`
	// WatermarkNamespace is where the ConfigMap is.
	WatermarkNamespace string `name:"watermark-namespace" env:"WATERMARK_NAMESPACE" placeholder:"NAMESPACE" help:"Namespace of the ConfigMap with the watermark; that of the Lease by default."`
}

// check calls wrong for each value that no tag can judge.
func (e *Election) check(wrong func(variable, flag, rule string, value any)) {
	for _, n := range []struct{ variable, flag, value string }{
		{"LEASE_NAMESPACE", "lease-namespace", e.Namespace},
		{"WATERMARK_NAMESPACE", "watermark-namespace", e.WatermarkNamespace},
	} {
		if n.value != "" && len(validation.IsDNS1123Label(n.value)) > 0 {
			wrong(n.variable, n.flag, "the name of a namespace", fmt.Sprintf("%q", n.value))
		}
	}
	if e.Name != "" && len(validation.IsDNS1123Subdomain(e.Name)) > 0 {
		wrong("LEASE_NAME", "lease-name", "a lower-case name as of any object", fmt.Sprintf("%q", e.Name))
	}
	if e.RetryPeriod < 100*time.Millisecond {
		wrong("RETRY_PERIOD", "retry-period", "at least 100ms", e.RetryPeriod)
	}
	// client-go waits up to 1.2 times as long between tries.
	if e.RenewDeadline <= e.RetryPeriod*6/5 {
		wrong("RENEW_DEADLINE", "renew-deadline", "above 1.2 times RETRY_PERIOD", e.RenewDeadline)
	}
	held := (&lease.Config{Duration: e.Duration, RetryPeriod: e.RetryPeriod}).Held()
	if held <= e.RenewDeadline || held < time.Second {
		wrong("LEASE_DURATION", "lease-duration", "at least 1s above RENEW_DEADLINE and 4.4 times RETRY_PERIOD together", e.Duration)
	}
}

// watermark is the name of the ConfigMap.
func (e *Election) watermark() string { return e.Name + "-watermark" }

// podNamespace is where Kubernetes tells a pod its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// resolve fills in what was left to the defaults.
func (c *Config) resolve(namespaces []string) error {
	e := &c.Election
	if e.Name == "" {
		if e.Name = "event-streamer"; c.Publish == publishLog {
			e.Name = "event-streamer-witness"
		}
	}
	if e.Namespace == "" {
		e.Namespace = namespaces[0]
		if c.Kubeconfig == "" {
			own, err := os.ReadFile(podNamespace)
			if err != nil {
				return fmt.Errorf("find the namespace of this pod for its Lease (or set LEASE_NAMESPACE): %w", err)
			}
			e.Namespace = strings.TrimSpace(string(own))
		}
	}
	if e.WatermarkNamespace == "" {
		e.WatermarkNamespace = e.Namespace
	}
	return nil
}

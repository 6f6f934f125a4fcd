package service

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/alecthomas/kong"
)

// Common is the configuration that every service has. Embed it:
//
//	type Config struct {
//		service.Common `embed:""`
//		Shards int `help:"Number of shards." env:"SHARDS" default:"16"`
//	}
//
// A field without an env tag is read from its flag's name in capitals. A
// variable that is set but empty counts as not set.
type Common struct {
	// ProjectID is the Google Cloud project of Firestore and Pub/Sub.
	ProjectID string `name:"google-cloud-project" env:"GOOGLE_CLOUD_PROJECT" required:"" placeholder:"PROJECT" help:"Google Cloud project of Firestore and Pub/Sub."`
	// LogLevel is the least severity that is logged.
	LogLevel string `name:"log-level" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least severity that is logged: ${enum}."`
	// LogFormat is json for machines, console for a person at a terminal.
	LogFormat string `name:"log-format" env:"LOG_FORMAT" default:"json" enum:"json,console" help:"Form of the log: ${enum}."`
	// AdminAddr is where /livez, /readyz and /metrics are served; port 0 takes a free one.
	AdminAddr string `name:"admin-addr" env:"ADMIN_ADDR" default:":8081" help:"Address of /livez, /readyz and /metrics."`
	// StartupBudget bounds each start-up check, its retries included.
	StartupBudget time.Duration `name:"startup-budget" env:"STARTUP_BUDGET" default:"20s" help:"How long to wait for each required dependency at the start."`
	// ShutdownBudget bounds the time from the first signal to the exit. Keep it
	// below the pod's terminationGracePeriodSeconds.
	ShutdownBudget time.Duration `name:"shutdown-budget" env:"SHUTDOWN_BUDGET" default:"20s" help:"How long work in hand may take to end after a signal."`
	// ShowVersion makes the process print its version and exit.
	ShowVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version and exit."`
}

// common gives Main the part that it needs of any configuration.
func (c *Common) common() *Common { return c }

// check returns every error that no tag can express, joined.
func (c *Common) check() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.AdminAddr); err != nil {
		errs = append(errs, fmt.Errorf("ADMIN_ADDR (--admin-addr): %q is not an address such as :8081 or 127.0.0.1:0", c.AdminAddr))
	}
	if c.StartupBudget <= 0 {
		errs = append(errs, fmt.Errorf("STARTUP_BUDGET (--startup-budget): must be above zero, is %s", c.StartupBudget))
	}
	if c.ShutdownBudget <= 0 {
		errs = append(errs, fmt.Errorf("SHUTDOWN_BUDGET (--shutdown-budget): must be above zero, is %s", c.ShutdownBudget))
	}
	return errors.Join(errs...)
}

// configuration is any struct that embeds Common.
type configuration interface{ common() *Common }

// validator is a configuration with rules of its own. Validate returns all that
// is wrong, joined with errors.Join, and is called even when other values are
// wrong: those then hold their default, so it can judge the rest. It leaves the
// absence of required values to their tags.
type validator interface{ Validate() error }

package app

import (
	"fmt"
	"regexp"
	"time"
)

// Capsules is what is saved of failed pods.
type Capsules struct {
	// Enabled is off where nobody may read logs.
	Enabled bool `name:"capsules" env:"CAPSULES" default:"true" negatable:"" help:"Save what failed pods leave behind (log lines, status, Events) as phases. Never with --publish=log or --resync."`
	// Bucket takes what an event has no room for.
	Bucket string `name:"capsule-bucket" env:"CAPSULE_BUCKET" placeholder:"BUCKET" help:"Cloud Storage bucket for capsules that are larger than an event; without it they are cut."`
	// Workers is how many are taken at once.
	Workers int `name:"capsule-workers" env:"CAPSULE_WORKERS" default:"4" help:"How many capsules are taken at once."`
	// Timeout bounds one.
	Timeout time.Duration `name:"capsule-timeout" env:"CAPSULE_TIMEOUT" default:"10s" help:"How long the cluster may take to answer for one capsule; one log may take half of it."`
}

// bucketName is what Cloud Storage takes for the name of a bucket.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// check calls wrong for each value that no tag can judge.
func (c *Capsules) check(wrong func(variable, flag, rule string, value any)) {
	if c.Bucket != "" && !bucketName.MatchString(c.Bucket) {
		wrong("CAPSULE_BUCKET", "capsule-bucket", "the name of a bucket, without gs://", fmt.Sprintf("%q", c.Bucket))
	}
	if c.Workers < 1 || c.Workers > 64 {
		wrong("CAPSULE_WORKERS", "capsule-workers", "from 1 to 64", c.Workers)
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		wrong("CAPSULE_TIMEOUT", "capsule-timeout", "from 1s to 1m", c.Timeout)
	}
}

// capsules reports whether this process takes any. The witness has neither the
// right to read logs nor a client to publish with, and a resync ends with the list.
func (c *Config) capsules() bool {
	return c.Capsules.Enabled && c.Publish == publishPubSub && !c.Resync
}

package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/pkg/web"
)

// Config is the configuration of dlq-handler, each field a flag and an
// environment variable.
type Config struct {
	service.Common `embed:""`
	// HTTP is the public API with its pages, Auth who may use it, Notify where
	// developers are told.
	HTTP   web.Config    `embed:""`
	Auth   authn.Config  `embed:""`
	Notify notify.Config `embed:""`

	// FirestoreDatabase is the database that holds letters and records.
	FirestoreDatabase string `name:"firestore-database" env:"FIRESTORE_DATABASE" default:"(default)" help:"Firestore database that holds letters and records."`
	// FirestoreTimeout bounds one call to Firestore.
	FirestoreTimeout time.Duration `name:"firestore-timeout" env:"FIRESTORE_TIMEOUT" default:"5s" help:"How long one call to Firestore may take."`
	// Shards is over how many shards records are spread.
	Shards int `name:"shards" env:"SHARDS" default:"16" help:"Number of shards of the records, as in status-updater. May be raised, never lowered."`
	// LettersBucket takes payloads that are too large for Firestore.
	LettersBucket string `name:"letters-bucket" env:"LETTERS_BUCKET" placeholder:"BUCKET" help:"Cloud Storage bucket for payloads above 512 KiB; without it such letters wait in their subscription."`
	// MaxOutstanding and MaxOutstandingBytes are what may be in hand at once.
	MaxOutstanding      int `name:"max-outstanding" env:"MAX_OUTSTANDING" default:"256" help:"How many letters are handled at once."`
	MaxOutstandingBytes int `name:"max-outstanding-bytes" env:"MAX_OUTSTANDING_BYTES" default:"8388608" help:"How many bytes of letters are handled at once; memory is several times as much."`
	// SweepEvery is the time between sweeps of the outbox.
	SweepEvery time.Duration `name:"sweep-every" env:"SWEEP_EVERY" default:"5m" help:"Time between sweeps of the outbox; status-updater sweeps it more often."`
	// OperationLease is for how long a replay by filter is held at a time.
	OperationLease time.Duration `name:"operation-lease" env:"OPERATION_LEASE" default:"30s" help:"After this long without a sign of life another process takes a replay by filter up."`

	// AutoReplay* tune the replay of letters that died of a dependency.
	AutoReplayDependencies []string      `name:"auto-replay-dependencies" env:"AUTO_REPLAY_DEPENDENCIES" default:"firestore,pubsub,gcs,kubernetes" help:"Dependencies whose letters are replayed by themselves once they work again; none switches it off."`
	AutoReplayAfter        time.Duration `name:"auto-replay-after" env:"AUTO_REPLAY_AFTER" default:"10m" help:"How long a dependency must have worked, and no letter have died of it, before that."`
	AutoReplayEvery        time.Duration `name:"auto-replay-every" env:"AUTO_REPLAY_EVERY" default:"30s" help:"Time between looks for such letters."`
	AutoReplayRate         float64       `name:"auto-replay-rate" env:"AUTO_REPLAY_RATE" default:"1" help:"How many of them are sent in a second at most."`
	AutoReplayMax          int64         `name:"auto-replay-max" env:"AUTO_REPLAY_MAX" default:"3" help:"How often one letter is replayed by itself at most."`
}

// none switches the automatic replay off.
const none = "none"

// dependencies are those of the automatic replay.
func (c *Config) dependencies() []string {
	if slices.Equal(c.AutoReplayDependencies, []string{none}) {
		return nil
	}
	return c.AutoReplayDependencies
}

// Validate returns everything that is wrong and that no tag can express.
func (c *Config) Validate() error {
	errs := []error{c.HTTP.Validate(), c.Auth.Validate(), c.Auth.ValidateListener(web.AddrSetting, c.HTTP.Addr), c.Notify.Check()}
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.FirestoreDatabase == "" {
		wrong("FIRESTORE_DATABASE", "firestore-database", "a name", `""`)
	}
	if c.Shards < 1 || c.Shards > 1024 {
		wrong("SHARDS", "shards", "from 1 to 1024", c.Shards)
	}
	if c.MaxOutstanding < 1 {
		wrong("MAX_OUTSTANDING", "max-outstanding", "1 or more", c.MaxOutstanding)
	}
	if c.MaxOutstandingBytes < 1<<20 {
		wrong("MAX_OUTSTANDING_BYTES", "max-outstanding-bytes", "1048576 (1 MiB) or more", c.MaxOutstandingBytes)
	}
	for _, v := range []struct {
		variable, flag  string
		value, from, to time.Duration
	}{
		{"FIRESTORE_TIMEOUT", "firestore-timeout", c.FirestoreTimeout, 100 * time.Millisecond, time.Minute},
		{"SWEEP_EVERY", "sweep-every", c.SweepEvery, time.Second, 24 * time.Hour},
		{"OPERATION_LEASE", "operation-lease", c.OperationLease, time.Second, time.Hour},
		{"AUTO_REPLAY_AFTER", "auto-replay-after", c.AutoReplayAfter, time.Second, 24 * time.Hour},
		{"AUTO_REPLAY_EVERY", "auto-replay-every", c.AutoReplayEvery, 100 * time.Millisecond, 24 * time.Hour},
	} {
		if v.value < v.from || v.value > v.to {
			wrong(v.variable, v.flag, fmt.Sprintf("from %s to %s", v.from, v.to), v.value)
		}
	}
	if !(c.AutoReplayRate > 0 && c.AutoReplayRate <= 100) { // also not a number
		wrong("AUTO_REPLAY_RATE", "auto-replay-rate", "above 0 and at most 100", c.AutoReplayRate)
	}
	if c.AutoReplayMax < 1 {
		wrong("AUTO_REPLAY_MAX", "auto-replay-max", "1 or more", c.AutoReplayMax)
	}
	return errors.Join(errs...)
}

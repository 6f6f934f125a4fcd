package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/service"
)

// Config is the configuration of status-updater, each field a flag and an
// environment variable.
type Config struct {
	service.Common `embed:""`

	// FirestoreDatabase is the database that holds the records.
	FirestoreDatabase string `name:"firestore-database" env:"FIRESTORE_DATABASE" default:"(default)" help:"Firestore database that holds the records."`
	// FirestoreTimeout bounds one call to Firestore.
	FirestoreTimeout time.Duration `name:"firestore-timeout" env:"FIRESTORE_TIMEOUT" default:"2s" help:"How long one call to Firestore may take."`
	// Shards is over how many shards records are spread.
	Shards int `name:"shards" env:"SHARDS" default:"16" help:"Number of shards of the records. May be raised, never lowered."`
	// CacheSize bounds the cache of recent records.
	CacheSize int `name:"cache-size" env:"CACHE_SIZE" default:"4096" help:"How many recent records are kept in memory, for at most a minute; 0 keeps none."`
	// MaxOutstanding is how many messages may be in hand at once.
	MaxOutstanding int `name:"max-outstanding" env:"MAX_OUTSTANDING" default:"256" help:"How many messages are handled at once."`
	// SweepEvery is the time between sweeps of the outbox.
	SweepEvery time.Duration `name:"sweep-every" env:"SWEEP_EVERY" default:"1m" help:"Time between sweeps of the outbox for updates that were not sent."`
	// WitnessNamespace and WitnessContainer are where the log witness runs.
	WitnessNamespace string `name:"witness-namespace" env:"WITNESS_NAMESPACE" default:"resiliency" help:"Namespace of the log witness; lines of its container elsewhere do not count."`
	WitnessContainer string `name:"witness-container" env:"WITNESS_CONTAINER" default:"event-streamer-witness" help:"Container of the log witness."`
	// LogProject, LogLocation and LogCluster restrict what counts of the log.
	LogProject  string `name:"log-project" env:"LOG_PROJECT" help:"GCP project whose log entries count; any without it."`
	LogLocation string `name:"log-location" env:"LOG_LOCATION" help:"Location of the GKE cluster whose log entries count; any without it."`
	LogCluster  string `name:"log-cluster" env:"LOG_CLUSTER" help:"GKE cluster whose log entries count; any without it."`
	// ExpectedSources are the sources that are to tell of the same facts.
	ExpectedSources []string `name:"expected-sources" env:"EXPECTED_SOURCES" default:"event_streamer,log_witness" help:"Sources that are to tell of the same facts; one that is silent while another speaks is reported."`
	// SilenceAfter is how long one of them may be silent while another speaks.
	SilenceAfter time.Duration `name:"silence-after" env:"SILENCE_AFTER" default:"5m" help:"How long a source may be silent while another speaks."`
	// HeartbeatEvery is the time between heartbeats.
	HeartbeatEvery time.Duration `name:"heartbeat-every" env:"HEARTBEAT_EVERY" default:"30s" help:"Time between heartbeats in Firestore."`
}

// maxShards bounds what a query over all shards costs.
const maxShards = 1024

// Validate returns everything that is wrong and that no tag can express.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.FirestoreDatabase == "" {
		wrong("FIRESTORE_DATABASE", "firestore-database", "a name", `""`)
	}
	if c.FirestoreTimeout < 100*time.Millisecond || c.FirestoreTimeout > time.Minute {
		wrong("FIRESTORE_TIMEOUT", "firestore-timeout", "from 100ms to 1m", c.FirestoreTimeout)
	}
	if c.Shards < 1 || c.Shards > maxShards {
		wrong("SHARDS", "shards", fmt.Sprintf("from 1 to %d", maxShards), c.Shards)
	}
	if c.CacheSize < 0 {
		wrong("CACHE_SIZE", "cache-size", "0 or more", c.CacheSize)
	}
	if c.MaxOutstanding < 2 { // half of them may wait for the topic of phases
		wrong("MAX_OUTSTANDING", "max-outstanding", "2 or more", c.MaxOutstanding)
	}
	if c.SweepEvery <= 0 {
		wrong("SWEEP_EVERY", "sweep-every", "above zero", c.SweepEvery)
	}
	if c.HeartbeatEvery <= 0 {
		wrong("HEARTBEAT_EVERY", "heartbeat-every", "above zero", c.HeartbeatEvery)
	}
	if c.WitnessNamespace == "" || c.WitnessContainer == "" {
		wrong("WITNESS_NAMESPACE, WITNESS_CONTAINER", "witness-namespace, --witness-container", "names",
			fmt.Sprintf("%q, %q", c.WitnessNamespace, c.WitnessContainer))
	}
	if _, err := c.sources(); err != nil {
		wrong("EXPECTED_SOURCES", "expected-sources", "names of sources such as event_streamer", err)
	}
	if c.SilenceAfter < time.Second {
		wrong("SILENCE_AFTER", "silence-after", "1s or more", c.SilenceAfter)
	}
	return errors.Join(errs...)
}

// sources are the expected sources by the names that metrics show.
func (c *Config) sources() ([]job.Source, error) {
	var sources []job.Source
	for _, name := range c.ExpectedSources {
		source, err := job.ParseSource(strings.ToUpper(name))
		if err != nil {
			return nil, fmt.Errorf("%q", name)
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources, nil
}

func (c *Config) trust() logentry.Trust {
	return logentry.Trust{
		Namespace: c.WitnessNamespace, Container: c.WitnessContainer,
		Project: c.LogProject, Location: c.LogLocation, Cluster: c.LogCluster,
	}
}

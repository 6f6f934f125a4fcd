package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/service"
	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

// Config is the configuration of phase-tracer, each field a flag and an
// environment variable.
type Config struct {
	service.Common `embed:""`
	// HTTP is the public API with its pages, Auth who may use it.
	HTTP shared.Config `embed:""`
	Auth authn.Config  `embed:""`

	// FirestoreDatabase is the database that holds phases and records.
	FirestoreDatabase string `name:"firestore-database" env:"FIRESTORE_DATABASE" default:"(default)" help:"Firestore database that holds phases and records."`
	// FirestoreTimeout bounds one call to Firestore.
	FirestoreTimeout time.Duration `name:"firestore-timeout" env:"FIRESTORE_TIMEOUT" default:"10s" help:"How long one call to Firestore may take; a commit holds up to 500 phases."`
	// Shards is over how many shards records are spread.
	Shards int `name:"shards" env:"SHARDS" default:"16" help:"Number of shards of the records, as in status-updater. May be raised, never lowered."`
	// MaxOutstanding and MaxOutstandingBytes are what may be in hand at once, of each
	// subscription.
	MaxOutstanding      int `name:"max-outstanding" env:"MAX_OUTSTANDING" default:"2000" help:"How many messages of a subscription are handled at once; they share commits."`
	MaxOutstandingBytes int `name:"max-outstanding-bytes" env:"MAX_OUTSTANDING_BYTES" default:"33554432" help:"How many bytes of messages of a subscription are handled at once."`
	// PhaseTTL is how long phases are kept, PhaseTTLTenants for whom longer or shorter.
	PhaseTTL        time.Duration `name:"phase-ttl" env:"PHASE_TTL" default:"720h" help:"How long phases are kept."`
	PhaseTTLTenants []string      `name:"phase-ttl-tenants" env:"PHASE_TTL_TENANTS" placeholder:"TENANT=DURATION" help:"Tenants whose phases are kept for another time."`
	// LettersURL is where dlq-handler's pages are.
	LettersURL string `name:"letters-url" env:"LETTERS_URL" placeholder:"URL" help:"Address of dlq-handler's pages, for links to dead letters."`
	// OTLPEndpoint is where spans go.
	OTLPEndpoint string `name:"otel-exporter-otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"OTLP/HTTP endpoint that phases are sent to as spans; without it none are."`
}

// ttls is how long phases are kept.
func (c *Config) ttls() (phases.TTLs, error) {
	t, err := phases.ParseTTLs(c.PhaseTTL, c.PhaseTTLTenants)
	if err != nil {
		return t, fmt.Errorf("PHASE_TTL, PHASE_TTL_TENANTS (--phase-ttl, --phase-ttl-tenants): %w", err)
	}
	return t, nil
}

// Validate returns everything that is wrong and that no tag can express.
func (c *Config) Validate() error {
	errs := []error{c.HTTP.Validate(), c.Auth.Validate(), c.Auth.ValidateListener(shared.AddrSetting, c.HTTP.Addr)}
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.FirestoreDatabase == "" {
		wrong("FIRESTORE_DATABASE", "firestore-database", "a name", `""`)
	}
	if c.FirestoreTimeout < 100*time.Millisecond || c.FirestoreTimeout > time.Minute {
		wrong("FIRESTORE_TIMEOUT", "firestore-timeout", "from 100ms to 1m", c.FirestoreTimeout)
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
	_, err := c.ttls()
	errs = append(errs, err)
	if _, err := web.CheckLettersURL(c.LettersURL); err != nil {
		errs = append(errs, fmt.Errorf("LETTERS_URL (--letters-url): %w", err))
	}
	return errors.Join(errs...)
}

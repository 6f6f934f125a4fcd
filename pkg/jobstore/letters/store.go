package letters

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/jobstore/internal/calls"
)

// Collections of the database.
const (
	collectionLetters    = "dead_letters"
	collectionOperations = "dead_letter_operations"
	collectionAudit      = "audit"
)

// DefaultTimeout bounds one call to Firestore. A letter may be large, so it is
// longer than that of a job's record.
const DefaultTimeout = 5 * time.Second

// maxTries bounds how often one change is tried while others change the same
// document.
const maxTries = 10

// Config sets up a store. Zero values take the defaults.
type Config struct {
	// Timeout bounds one call to Firestore; DefaultTimeout by default.
	Timeout time.Duration
	// Claim is how long a replay has to send a letter before its claim counts as
	// lost; a minute by default.
	Claim time.Duration
	// Now replaces time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Claim <= 0 {
		c.Claim = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Store keeps letters, operations and the audit log. It is safe for concurrent
// use.
type Store struct {
	cfg   Config
	db    *firestore.Client
	calls *calls.Calls
}

// New returns a store on a Firestore client, which stays the caller's to close.
func New(client *firestore.Client, cfg Config, reg prometheus.Registerer) *Store {
	cfg = cfg.withDefaults()
	return &Store{cfg: cfg, db: client, calls: calls.New("letters", cfg.Timeout, reg)}
}

// now is the time as Firestore keeps it.
func (s *Store) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Get reads a letter, with all that belongs to it. Errors wrap ErrNotFound, or
// are of category dependency when Firestore does not answer.
func (s *Store) Get(ctx context.Context, id string) (Letter, error) {
	l, err := s.get(ctx, id)
	if err != nil {
		return Letter{}, fmt.Errorf("read letter %s: %w", id, err)
	}
	return l, nil
}

func (s *Store) get(ctx context.Context, id string) (Letter, error) {
	var l Letter
	snap, err := s.read(ctx, collectionLetters, id, &l)
	if err != nil {
		return Letter{}, err
	}
	l.ID, l.UpdateTime = snap.Ref.ID, snap.UpdateTime
	return l, nil
}

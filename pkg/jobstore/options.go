package jobstore

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/envision/resiliency/pkg/job"
)

// Defaults of a store.
const (
	// DefaultShards is how many shards records are spread over. To raise it is
	// safe; to lower it hides records from queries over shards.
	DefaultShards = 16
	// DefaultCacheSize bounds the cache in records: usually about 1 KiB each, a
	// verdict with all its evidence 33 KiB.
	DefaultCacheSize = 4096
	// MaxCacheAge is how long a cached record may live at most.
	MaxCacheAge = 60 * time.Second
	// DefaultTimeout bounds one call to Firestore. It is short because the client
	// library itself repeats calls until their deadline, and a subscriber has to
	// learn within seconds that Firestore is gone.
	DefaultTimeout = 2 * time.Second
	// DefaultMaxTries bounds how often one claim is tried while others change the
	// same record.
	DefaultMaxTries = 12
)

// OutboxFunc says what has to go out if and only if a change is committed.
// before is the zero record for a new one; neither record may be changed. The
// entries must depend on nothing but the arguments: an entry's content must not
// vary under its id.
type OutboxFunc func(before, after *job.Record, revision int64) ([]Entry, error)

// TraceFunc adds to the attributes of an outbox entry the trace context of the
// call that commits it: what goes out in consequence of a message belongs to the
// trace of that message.
type TraceFunc func(ctx context.Context, attributes map[string]string)

// Option sets up a store.
type Option func(*settings)

type settings struct {
	registerer prometheus.Registerer
	now        func() time.Time
	writer     string
	shards     int
	cacheSize  int
	cacheAge   time.Duration
	timeout    time.Duration
	maxTries   int
	outbox     OutboxFunc
	trace      TraceFunc
}

func defaults() settings {
	return settings{
		now: time.Now, writer: "unnamed", shards: DefaultShards,
		cacheSize: DefaultCacheSize, cacheAge: MaxCacheAge,
		timeout: DefaultTimeout, maxTries: DefaultMaxTries,
	}
}

// WithRegisterer registers the store's metrics; without it they are not shown.
func WithRegisterer(r prometheus.Registerer) Option { return func(s *settings) { s.registerer = r } }

// WithClock replaces time.Now.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

// WithWriter names the process, as a record's updated_by shows it. It must be
// unique among the processes that write records (a pod's name is): by it a
// store knows its own commit when the answer to it was lost.
func WithWriter(name string) Option { return func(s *settings) { s.writer = name } }

// WithShards sets over how many shards records are spread; at least 1.
func WithShards(n int) Option { return func(s *settings) { s.shards = max(n, 1) } }

// WithCache sets how many records are kept and how long, MaxCacheAge at most.
// A size or age of 0 keeps none.
func WithCache(size int, age time.Duration) Option {
	return func(s *settings) { s.cacheSize, s.cacheAge = size, min(age, MaxCacheAge) }
}

// WithTimeout bounds one call to Firestore.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithMaxTries bounds the tries of one claim against conflicts; at least 1.
func WithMaxTries(n int) Option { return func(s *settings) { s.maxTries = max(n, 1) } }

// WithOutbox sets what goes out with a change; without it nothing does.
func WithOutbox(f OutboxFunc) Option { return func(s *settings) { s.outbox = f } }

// WithTrace sets how an outbox entry gets its trace context; without it, it has none.
func WithTrace(f TraceFunc) Option { return func(s *settings) { s.trace = f } }

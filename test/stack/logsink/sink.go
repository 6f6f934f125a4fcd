package logsink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack/logsink/lql"
)

// TimestampAttribute is the one attribute that a sink's messages have: the
// entry's timestamp.
const TimestampAttribute = "logging.googleapis.com/timestamp"

// Config is what a sink is made of.
type Config struct {
	// Place names project and cluster; the topic is the project's.
	Place Place
	// Client publishes; required. The caller closes it, after Run has returned.
	Client *pubsub.Client
	// Filter is the sink's, as ReadFilter returns it; required.
	Filter string
	// Faults are what goes wrong on purpose.
	Faults Faults
	// Log takes what goes wrong by itself.
	Log zerolog.Logger
}

// Sink is a log sink. Its methods may be called from several goroutines.
type Sink struct {
	cfg     Config
	filter  *lql.Filter
	pub     publisher
	changed signal

	mu       sync.Mutex
	ids      *rand.Rand
	queue    queue
	lastDue  time.Time
	inFlight int
	counts   Counts
	kept     map[types.UID]KeptEvent
	sources  []source
	running  func(source) // starts a source; nil while the sink does not run
	started  bool
	ended    bool
}

// source is where entries come from.
type source interface {
	// run reads until ctx ends.
	run(ctx context.Context) error
	// caughtUp returns when all that is there at the call has been read.
	caughtUp(ctx context.Context) error
}

// New returns a sink that does nothing yet. A filter that is not understood to
// the last word is an error.
func New(cfg Config) (*Sink, error) {
	s, err := newSink(cfg, topicPublisher{
		client: cfg.Client, topic: topology.TopicName(cfg.Place.ProjectID, topology.TopicJobLogEntries),
	})
	if err == nil && cfg.Client == nil {
		err = errors.New("configuration of the log sink: Client is required")
	}
	return s, err
}

func newSink(cfg Config, pub publisher) (*Sink, error) {
	filter, err := lql.Parse(cfg.Filter)
	if strings.Contains(cfg.Filter, "top_level_controller") {
		// They are looked up in the cluster, and only for what passes.
		err = errors.Join(err, errors.New("a filter cannot ask for the labels of a pod's controller here"))
	}
	if p := cfg.Place; p.ProjectID == "" || p.Cluster == "" || p.Location == "" {
		err = errors.Join(err, fmt.Errorf("place %+v: project, cluster and location are required", p))
	}
	if err := errors.Join(err, cfg.Faults.validate()); err != nil {
		return nil, fmt.Errorf("configuration of the log sink: %w", err)
	}
	return &Sink{
		cfg: cfg, filter: filter, pub: pub, ids: rand.New(rand.NewPCG(cfg.Faults.Seed, 0)), kept: map[types.UID]KeptEvent{},
	}, nil
}

// Run reads the sources and publishes until ctx ends, and returns when all of
// its goroutines have; what is pending then is lost. A sink runs once.
func (s *Sink) Run(ctx context.Context) error {
	var group errgroup.Group
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		return errors.New("run of the log sink: it has been run before")
	}
	s.started = true
	s.running = func(source source) { group.Go(func() error { return source.run(ctx) }) }
	for _, source := range s.sources {
		s.running(source)
	}
	s.mu.Unlock()
	s.deliverDue(ctx)
	s.mu.Lock()
	s.running, s.ended = nil, true
	s.mu.Unlock()
	s.changed.fire()
	return group.Wait()
}

// start adds a source, and runs it if the sink does.
func (s *Sink) start(source source) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("log sink: it has ended")
	}
	s.sources = append(s.sources, source)
	if s.running != nil {
		s.running(source)
	}
	return nil
}

// Drain returns when everything that files and control plane held at the call
// has been read and, unless dropped, confirmed by Pub/Sub; however long lag and
// outages take.
func (s *Sink) Drain(ctx context.Context) error {
	s.mu.Lock()
	sources := slices.Clone(s.sources)
	s.mu.Unlock()
	for _, source := range sources {
		if err := source.caughtUp(ctx); err != nil {
			return fmt.Errorf("drain the log sink: %w", err)
		}
	}
	if err := s.await(ctx, func() bool { return s.Counts().Pending == 0 }); err != nil {
		return fmt.Errorf("drain the log sink, %d messages pending: %w", s.Counts().Pending, err)
	}
	return nil
}

// await returns when done is true, at the latest when ctx or the sink ends.
func (s *Sink) await(ctx context.Context, done func() bool) error {
	for {
		changed := s.changed.next()
		if done() {
			return nil
		}
		s.mu.Lock()
		ended := s.ended
		s.mu.Unlock()
		if ended {
			return errors.New("the log sink has ended")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// write takes an entry as Cloud Logging does and tells whether it passed the
// filter. more gives labels that are only worth their price for one that did.
func (s *Sink) write(dice *dice, entry *Entry, more func() map[string]string) bool {
	now := time.Now()
	if !s.filter.Match(entry.received(now, "").fields()) {
		s.count(func(c *Counts) { c.FilteredOut++ })
		return false
	}
	if more != nil {
		if labels := more(); len(labels) > 0 {
			entry.Labels = maps.Clone(labels)
		}
	}
	fate := dice.next()
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.encoded(entry, now)
	if err != nil {
		s.cfg.Log.Warn().Err(err).Msg("a log entry is refused")
		s.counts.Refused++
		return false
	}
	s.counts.Passed++
	s.schedule(entry, data, fate, now)
	s.changed.fire()
	return true
}

// schedule decides when an entry is published, how often, or never.
func (s *Sink) schedule(entry *Entry, data *pubsubpb.PubsubMessage, fate fate, now time.Time) {
	if fate.lost {
		s.counts.Lost++
		return
	}
	due := now.Add(fate.lag)
	if due.Before(s.lastDue) {
		due = s.lastDue
	}
	if fate.held == 0 {
		s.lastDue = due
	}
	s.queue.push(due.Add(fate.held), data)
	if !fate.repeated {
		return
	}
	again := now.Add(fate.repeatLag)
	if !fate.sameID {
		rewritten, err := s.encoded(entry, again)
		if err != nil {
			return // its time is out of bounds by then
		}
		data = rewritten
	}
	s.counts.Repeated++
	s.queue.push(again, data)
}

// encoded is the message of one write of an entry, with an insert id of its own.
func (s *Sink) encoded(entry *Entry, at time.Time) (*pubsubpb.PubsubMessage, error) {
	written := entry.received(at, strconv.FormatUint(s.ids.Uint64(), 36))
	data, err := written.encode()
	if err != nil {
		return nil, err
	}
	return &pubsubpb.PubsubMessage{
		Data: data, Attributes: map[string]string{TimestampAttribute: written.Timestamp.String()},
	}, nil
}

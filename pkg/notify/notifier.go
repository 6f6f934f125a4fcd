package notify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Store keeps notices. All its changes are compare-and-set: change is called
// again with fresh notices when somebody else was faster. It must depend on
// nothing but its arguments, and returns false to leave all as it is.
type Store interface {
	// Count changes one notice by facts. keys are the facts' own; known says of
	// each whether it has been counted before. Those that were not are recorded in
	// the same commit.
	Count(ctx context.Context, id string, keys []string, change func(n *Notice, known []bool) bool) error
	// Change changes notices together, in one commit. One that does not exist is
	// empty but for its ID.
	Change(ctx context.Context, ids []string, change func(notices []*Notice) bool) error
	// Pending returns notices that are due at some time, the earliest first.
	Pending(ctx context.Context, limit int) ([]Notice, error)
}

// Parts are what a notifier is made of.
type Parts struct {
	Store  Store
	Poster Poster
	// Instance names the process; unique among those that share the store.
	Instance   string
	Registerer prometheus.Registerer
	Log        zerolog.Logger
	// Now replaces time.Now.
	Now func() time.Time
}

// Notifier counts facts and tells of them. It is safe for concurrent use.
type Notifier struct {
	cfg     Config
	rules   rules
	base    *url.URL
	channel string

	store    Store
	instance string
	now      func() time.Time
	metrics  *metrics
	log      zerolog.Logger
	collect  *collector
	send     *sender
	wake     chan struct{}

	mu sync.Mutex
	// posted are the digests that this process has posted, each once.
	posted []string
}

// Fixed numbers.
const (
	// maxSamples is how many details a thread shows.
	maxSamples = 3
	// keepNotices is how long the store keeps a notice after its last fact.
	keepNotices = 45 * 24 * time.Hour
	// lookEvery is how often the store is asked for what other processes left.
	lookEvery = 15 * time.Second
)

// New returns a notifier; Run makes it send. Check the configuration first.
func New(cfg Config, p Parts) (*Notifier, error) {
	cfg = cfg.withDefaults()
	base, err := parseBase(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public URL of notices: %w", err)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	n := &Notifier{
		cfg: cfg, base: base, store: p.Store, instance: p.Instance, now: p.Now,
		rules:   rules{quiet: cfg.Quiet, updateEvery: cfg.UpdateEvery, samples: maxSamples, keep: keepNotices},
		metrics: newMetrics(p.Registerer), log: p.Log, wake: make(chan struct{}, 1),
	}
	if cfg.Enabled() {
		n.channel = cfg.SlackChannel
	}
	n.collect = newCollector(cfg.FlushEvery, p.Now, n.flush)
	n.send = newSender(n, p.Poster)
	return n, nil
}

// Note counts a fact and returns once that is on record, within about
// Config.FlushEvery, as many share a commit. The same key and fingerprint again
// change nothing, so a caller that got an error, or none, may call again. The
// error is permanent when the fact is not one, else the store's.
func (n *Notifier) Note(ctx context.Context, f *Fact) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("note fact %q: %w", f.Key, err)
	}
	fact := *f
	fact.Content = f.Content.shown(n.base)
	fact.Detail = shown(f.Detail, maxDetail)
	fact.DetailLink = absolute(n.base, f.DetailLink)
	fact.Channel = n.channelOf(f.Channel)
	if fact.At.IsZero() {
		fact.At = n.now()
	}
	fact.At = micro(fact.At)
	if err := n.collect.add(ctx, hash(KindGroup, fact.Channel, fact.Fingerprint), fact); err != nil {
		n.metrics.facts.WithLabelValues(factFailed).Inc()
		return fmt.Errorf("note fact %q: %w", f.Key, err)
	}
	return nil
}

// Post puts a digest on record, to be sent once; one of the same key that is
// there already is left as it is.
func (n *Notifier) Post(ctx context.Context, d *Digest) error {
	f := Fact{Key: d.Key, Fingerprint: d.Key, Content: d.Content}
	if err := f.check(); err != nil {
		return fmt.Errorf("post digest %q: %w", d.Key, err)
	}
	channel, now := n.channelOf(d.Channel), micro(n.now())
	id := hash(KindDigest, channel, d.Key)
	err := n.store.Change(ctx, []string{id}, func(notices []*Notice) bool {
		notice := notices[0]
		if !notice.empty() {
			return false
		}
		notice.Kind, notice.Channel, notice.Fingerprint = KindDigest, channel, d.Key
		notice.Content, notice.FirstSeen, notice.LastSeen = d.Content.shown(n.base), now, now
		notice.changed(now, &n.rules)
		return true
	})
	if err != nil {
		return fmt.Errorf("post digest %q: %w", d.Key, err)
	}
	n.mu.Lock()
	if !slices.Contains(n.posted, id) {
		n.posted = append(n.posted, id)
	}
	n.mu.Unlock()
	n.log.Info().Str("notice_id", id).Str("key", d.Key).Msg("digest is on record")
	n.nudge()
	return nil
}

// flush counts the facts of one group in one commit.
func (n *Notifier) flush(ctx context.Context, id string, facts []Fact) error {
	keys := make([]string, len(facts))
	for i := range facts {
		keys[i] = facts[i].Key
	}
	var counted int
	var first bool
	err := n.store.Count(ctx, id, keys, func(notice *Notice, known []bool) bool {
		fresh := make([]Fact, 0, len(facts))
		for i := range facts {
			if !known[i] {
				fresh = append(fresh, facts[i])
			}
		}
		notice.Channel = facts[0].Channel
		window, empty := notice.Window, notice.empty()
		notice.add(fresh, micro(n.now()), &n.rules)
		counted, first = len(fresh), empty || notice.Window != window
		return counted > 0
	})
	if err != nil {
		return fmt.Errorf("count %d facts in notice %s: %w", len(facts), id, err)
	}
	n.metrics.facts.WithLabelValues(factCounted).Add(float64(counted))
	n.metrics.facts.WithLabelValues(factRepeated).Add(float64(len(facts) - counted))
	if counted == 0 {
		return nil
	}
	n.metrics.flush.Observe(float64(counted))
	if first {
		n.log.Info().Str("notice_id", id).Str("fingerprint", facts[0].Fingerprint).Msg("a new kind of failure is on record")
	}
	n.nudge()
	return nil
}

// channelOf is the channel that a notice is kept under: none without Slack.
func (n *Notifier) channelOf(wanted string) string {
	if wanted == "" || !n.cfg.Enabled() {
		return n.channel
	}
	return wanted
}

// nudge makes Run look.
func (n *Notifier) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// micro is a time as the store gives it back.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

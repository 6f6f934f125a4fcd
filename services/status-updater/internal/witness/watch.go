package witness

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
)

const (
	// minMissed is how many claims of others a source must have left without a
	// word before it counts as silent: a single one may have been told to another
	// replica of this service.
	minMissed = 5
	// calmPart of the window is how long a silent source must have spoken again,
	// without a gap as long, before it counts as back.
	calmPart = 5
	// looksPerWindow is how often the sources are looked at in a window.
	looksPerWindow = 20
)

// Config sets up a Watch.
type Config struct {
	// Expected are the sources that tell of the same facts. With fewer than two
	// nobody can be missed.
	Expected []job.Source
	// Window is how long a source may be silent while another speaks.
	Window time.Duration
}

// Watch hears what sources say. It is safe for concurrent use.
type Watch struct {
	cfg     Config
	now     func() time.Time
	metrics *metrics
	log     zerolog.Logger

	mu      sync.Mutex
	sources map[job.Source]*state
}

// state is what is known of an expected source.
type state struct {
	lastSeen time.Time
	// missed counts the claims of others since then; missedSince is when the first
	// of them came.
	missed      int
	missedSince time.Time
	silent      bool
	// backSince is since when a silent source speaks again; zero while it does not.
	backSince time.Time
}

// New returns a Watch; a nil registerer registers no metrics.
func New(cfg Config, reg prometheus.Registerer, now func() time.Time, log zerolog.Logger) *Watch {
	w := &Watch{cfg: cfg, now: now, metrics: newMetrics(reg), log: log, sources: map[job.Source]*state{}}
	for _, s := range cfg.Expected {
		w.sources[s] = &state{}
		w.metrics.silent.WithLabelValues(label(s)).Set(0)
	}
	return w
}

// Heard notes that a source said something that only it can have brought, such
// as a phase.
func (w *Watch) Heard(source job.Source) {
	now := w.now()
	w.metrics.lastSeen.WithLabelValues(label(source)).Set(float64(now.UnixMilli()) / 1000)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard(source, now)
}

// Claim notes that a source made a claim, and whether it was the first to bring
// it. Every other expected source is then awaited to make the same one.
func (w *Watch) Claim(source job.Source, first bool) {
	result := "duplicate"
	if first {
		result = "first"
	}
	w.metrics.claims.WithLabelValues(label(source), result).Inc()
	now := w.now()
	w.metrics.lastSeen.WithLabelValues(label(source)).Set(float64(now.UnixMilli()) / 1000)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard(source, now)
	if w.sources[source] == nil {
		return // what others say of other things, nobody has to repeat
	}
	for other, s := range w.sources {
		if other == source {
			continue
		}
		if s.missed++; s.missed == 1 {
			s.missedSince = now
		}
	}
}

func (w *Watch) heard(source job.Source, now time.Time) {
	s := w.sources[source]
	if s == nil {
		return
	}
	s.lastSeen, s.missed, s.missedSince = now, 0, time.Time{}
	if s.silent && s.backSince.IsZero() {
		s.backSince = now
	}
}

// Run looks at the sources until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	ticker := time.NewTicker(max(w.cfg.Window/looksPerWindow, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.look()
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Watch) look() {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, source := range w.cfg.Expected {
		s := w.sources[source]
		if was := s.silent; s.judge(now, w.cfg.Window) != was {
			w.tell(source, s)
		}
	}
}

// judge says whether the source is silent. A quiet system is none: only what
// others said can be missed.
func (s *state) judge(now time.Time, window time.Duration) bool {
	gap := time.Duration(0)
	if s.missed > 0 {
		gap = now.Sub(s.missedSince)
	}
	calm := window / calmPart
	switch {
	case !s.silent:
		s.silent = s.missed >= minMissed && gap >= window
		s.backSince = time.Time{}
	case gap >= calm:
		s.backSince = time.Time{} // it has stopped again
	case !s.backSince.IsZero() && now.Sub(s.backSince) >= calm:
		s.silent = false
	}
	return s.silent
}

func (w *Watch) tell(source job.Source, s *state) {
	gauge := w.metrics.silent.WithLabelValues(label(source))
	if !s.silent {
		gauge.Set(0)
		w.log.Info().Str("source", label(source)).Msg("a source speaks again")
		return
	}
	gauge.Set(1)
	w.log.Warn().
		Str("source", label(source)).
		Str("speaking", w.speaking(source)).
		Int("missed_claims", s.missed).
		Time("missed_since", s.missedSince).
		Func(func(e *zerolog.Event) {
			if !s.lastSeen.IsZero() {
				e.Time("last_seen", s.lastSeen)
			}
		}).
		Msg("a source is silent while another speaks")
}

// speaking names the other sources that have been heard.
func (w *Watch) speaking(not job.Source) string {
	var names []string
	for source, s := range w.sources {
		if source != not && !s.lastSeen.IsZero() {
			names = append(names, label(source))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

package replay

import (
	"context"
	"errors"
	"time"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// Health tells since when a dependency has worked, as far as this process can
// see; ok is false while it does not. What it knows nothing about works.
type Health interface {
	HealthySince(dependency string) (since time.Time, ok bool)
}

// AutoConfig tunes an Auto. Zero values take the defaults.
type AutoConfig struct {
	// Dependencies are those whose letters are replayed.
	Dependencies []string
	// After is how long a dependency must have worked, and no letter have died of
	// it, before its letters are replayed: longer than a message takes to use up
	// its attempts, so that those that die again are seen. 10 m by default.
	After time.Duration
	// Every is the time between looks; 30 s by default.
	Every time.Duration
	// Rate is how many letters a second are sent at most; 1 by default.
	Rate float64
	// MaxReplays is how often one letter is replayed by itself; 3 by default.
	MaxReplays int64
}

func (c AutoConfig) withDefaults() AutoConfig {
	if c.After <= 0 {
		c.After = 10 * time.Minute
	}
	if c.Every <= 0 {
		c.Every = 30 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 1
	}
	if c.MaxReplays <= 0 {
		c.MaxReplays = 3
	}
	return c
}

// autoName is who the audit log names.
const autoName = "automatic replay"

// Carrier is what Auto calls that which every replay needs, whatever the letter
// died of: a Pub/Sub that answers. One topic that is missing does not make it fail.
const Carrier = "carrier"

// Decisions of an Auto, as metrics and log lines name them.
const (
	decisionReplay    = "replay"
	decisionDown      = "dependency_down"
	decisionNoCarrier = "pubsub_down"
	decisionRecent    = "died_recently"
	decisionWaiting   = "waiting"
	decisionExhausted = "exhausted"
	decisionNothing   = "nothing"
	decisionFailed    = "failed"
)

// Auto replays letters that died of a dependency, slowly, once it has worked for
// a while: one first, and when that one has not died again, ever more. A letter
// that dies again stops it by itself, for then one has died recently.
type Auto struct {
	engine *Engine
	cfg    AutoConfig
	health Health
	spells map[string]*spell
}

// spell is a time in which letters of one dependency are replayed.
type spell struct {
	// next is how many letters are sent at the next look, at its earliest at.
	next int
	at   time.Time
	// closed are topics that took a letter not, with when they get another one.
	closed map[string]time.Time
	// said is the last decision that was logged.
	said string
}

// NewAuto returns an Auto. Run works; it is for one goroutine.
func NewAuto(engine *Engine, health Health, cfg AutoConfig) *Auto {
	return &Auto{engine: engine, cfg: cfg.withDefaults(), health: health, spells: map[string]*spell{}}
}

// Run works until ctx ends.
func (a *Auto) Run(ctx context.Context) error {
	ticker := time.NewTicker(a.cfg.Every)
	defer ticker.Stop()
	for {
		for _, dependency := range a.cfg.Dependencies {
			a.look(ctx, dependency)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look decides on the letters of one dependency, and acts on it.
func (a *Auto) look(ctx context.Context, dependency string) {
	s := a.spells[dependency]
	if s == nil {
		s = &spell{next: 1, closed: map[string]time.Time{}}
		a.spells[dependency] = s
	}
	decision, sent, err := a.decide(ctx, dependency, s)
	if ctx.Err() != nil {
		return
	}
	a.engine.Metrics.auto.WithLabelValues(dependency, decision).Inc()
	if decision == s.said && sent == 0 {
		return // a line for each decision, not for each look
	}
	s.said = decision
	if decision != decisionNothing {
		a.engine.Log.Info().Err(err).Str("dependency", dependency).Str("decision", decision).Int("sent", sent).
			Int("next", s.next).Msg("automatic replay")
	}
}

func (a *Auto) decide(ctx context.Context, dependency string, s *spell) (decision string, sent int, err error) {
	of := letters.Filter{Category: resilience.CategoryDependency, Dependency: dependency}
	newest, err := a.engine.Letters.List(ctx, of, nil, 1)
	if err != nil {
		return decisionFailed, 0, err //nolint:wrapcheck // it is logged
	}
	now := a.engine.Now()
	since, healthy := a.health.HealthySince(dependency)
	_, carried := a.health.HealthySince(Carrier)
	switch {
	case len(newest.Letters) == 0:
		return decisionNothing, 0, nil
	case !healthy || now.Sub(since) < a.cfg.After:
		s.next = 1
		return decisionDown, 0, nil
	case !carried:
		return decisionNoCarrier, 0, nil
	case now.Sub(newest.Letters[0].LastSeenAt) < a.cfg.After:
		s.next = 1
		return decisionRecent, 0, nil
	case now.Before(s.at):
		return decisionWaiting, 0, nil
	}
	return a.replay(ctx, of, s)
}

// replay sends the next few letters. What fails ends the look and is tried again
// after a while, and so is a topic that takes one letter not: what is missing or
// refused now is so for most of them, and each try is written down for ever.
func (a *Auto) replay(ctx context.Context, of letters.Filter, s *spell) (decision string, sent int, err error) {
	of.State = letters.StateOpen
	exhausted, held, why := 0, 0, error(nil)
	now, wait := a.engine.Now(), a.cfg.After
	for after := (*letters.Cursor)(nil); ; {
		page, err := a.engine.Letters.List(ctx, of, after, pageSize)
		if err != nil {
			return decisionFailed, sent, err //nolint:wrapcheck // it is logged
		}
		for i := range page.Letters {
			l := &page.Letters[i]
			if l.AutoReplays >= a.cfg.MaxReplays {
				exhausted++
				continue
			}
			if now.Before(s.closed[l.Topic]) {
				held++
				continue
			}
			if sent >= s.next {
				a.grow(s, sent)
				return decisionReplay, sent, nil
			}
			result, err := a.one(ctx, l, sent > 0)
			switch {
			case err != nil:
				s.at = a.engine.Now().Add(a.cfg.After)
				return decisionFailed, sent, err
			case result.Outcome == letters.ReplaySent:
				sent++
			case result.Outcome == letters.ReplayRefused && result.Letter.Replays > l.Replays: // it was claimed and given back
				pause := a.pause(l, &result.Letter)
				s.closed[l.Topic], wait, why = now.Add(pause), min(wait, pause), errors.New(result.Text)
			}
		}
		if after = page.Next; after == nil {
			break
		}
	}
	switch {
	case sent > 0:
		a.grow(s, sent)
		return decisionReplay, sent, nil
	case why != nil:
		s.at = now.Add(wait)
		return decisionFailed, 0, why
	default:
		return idle(exhausted, held), 0, nil
	}
}

// pause is how long the topic of a letter that was refused gets no other. A refusal
// that counts is the letter's own and ends after a few tries; others may go on.
func (a *Auto) pause(before, after *letters.Letter) time.Duration {
	if after.AutoReplays > before.AutoReplays {
		return a.cfg.Every
	}
	return a.cfg.After
}

// idle says why none of the letters was tried.
func idle(exhausted, held int) string {
	switch {
	case exhausted > 0:
		return decisionExhausted
	case held > 0:
		return decisionWaiting
	default:
		return decisionNothing
	}
}

// grow sets when how many letters follow: after the first few, as long as those
// take to show that they die again; then at the full rate.
func (a *Auto) grow(s *spell, sent int) {
	most := max(1, int(a.cfg.Rate*a.cfg.Every.Seconds()))
	s.at = a.engine.Now()
	if sent < most {
		s.at = s.at.Add(a.cfg.After)
	}
	s.next = min(most, s.next*10)
}

// one sends a letter; one that expired meanwhile has no result.
func (a *Auto) one(ctx context.Context, l *letters.Letter, pause bool) (letters.ReplayResult, error) {
	if pause {
		timer := time.NewTimer(time.Duration(float64(time.Second) / a.cfg.Rate))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return letters.ReplayResult{}, ctx.Err() //nolint:wrapcheck // the caller ends
		}
	}
	result, err := a.engine.send(ctx, l.ID, letters.Claim{By: autoName, Auto: true}, l.Dependency+" works again")
	if errors.Is(err, letters.ErrNotFound) {
		return letters.ReplayResult{}, nil
	}
	return result, err
}

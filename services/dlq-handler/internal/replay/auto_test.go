package replay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
)

// health is up from a moment on.
type health struct{ since time.Time }

func (h health) HealthySince(string) (time.Time, bool) { return h.since, !time.Now().Before(h.since) }

// carrier tells since when Pub/Sub works; all else has worked for long.
type carrier struct{ since time.Time }

func (c carrier) HealthySince(dependency string) (time.Time, bool) {
	if dependency == replay.Carrier {
		return c.since, !time.Now().Before(c.since)
	}
	return time.Now().Add(-time.Hour), true
}

// outageLetters are letters that died of Firestore half an hour ago.
func outageLetters(n int) *store {
	s := newStore(time.Now, n)
	for _, l := range s.letters {
		l.Category, l.Dependency = resilience.CategoryDependency, "firestore"
		l.LastSeenAt = time.Now().Add(-30 * time.Minute).Add(time.Until(l.LastSeenAt) / 1000)
	}
	return s
}

// auto runs the automatic replay for as long as given.
func auto(t *testing.T, s *store, p *publisher, h replay.Health, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	cfg := replay.AutoConfig{Dependencies: []string{"firestore"}, After: 10 * time.Minute, Every: 10 * time.Second, Rate: 2, MaxReplays: 3}
	if err := replay.NewAuto(newEngine(s, p), h, cfg).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestAuto_SlowlyAndAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := outageLetters(100), &publisher{}
		other := s.letters["l-07"]
		other.Category, other.Dependency = resilience.CategoryPermanent, ""
		auto(t, s, p, health{time.Now().Add(-time.Hour)}, 5*time.Minute)
		if n := p.total(); n != 1 {
			t.Errorf("%d letters were sent before it was known how the first one fares", n)
		}
		auto(t, s, p, health{time.Now().Add(-time.Hour)}, time.Hour)
		if n := p.total(); n != 99 || p.sent["l-07"] != 0 {
			t.Errorf("%d of 99 letters were sent, %d that nobody asked for", n, p.sent["l-07"])
		}
	})
}

func TestAuto_WaitsForTheDependency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := outageLetters(5), &publisher{}
		up := time.Now().Add(20 * time.Minute)
		auto(t, s, p, health{up}, 29*time.Minute)
		if n := p.total(); n != 0 {
			t.Errorf("%d letters were sent before the dependency had worked for a while", n)
		}
		auto(t, s, p, health{up}, 30*time.Minute)
		if n := p.total(); n != 5 {
			t.Errorf("%d of 5 letters were sent", n)
		}
	})
}

func TestAuto_StopsWhenTheyDieAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := outageLetters(50), &publisher{}
		// Whatever is sent dies again within the minute.
		ctx, stop := context.WithCancel(t.Context())
		died := make(chan struct{})
		go func() {
			defer close(died)
			for ctx.Err() == nil {
				s.mu.Lock()
				for _, l := range s.letters {
					if l.State == letters.StateReplayed {
						l.State, l.LastSeenAt = letters.StateOpen, time.Now()
					}
				}
				s.mu.Unlock()
				time.Sleep(time.Minute)
			}
		}()
		auto(t, s, p, health{time.Now().Add(-time.Hour)}, 24*time.Hour)
		stop()
		<-died
		if n := p.total(); n < 10 || n > 24*6 {
			t.Errorf("%d letters were sent in a day: one each ten minutes at most", n)
		}
		for id, l := range s.letters {
			if l.AutoReplays > 3 {
				t.Errorf("%s was sent %d times", id, l.AutoReplays)
			}
		}
	})
}

// What Pub/Sub did not take was no try: neither an outage nor a topic that is
// made again may use up how often a letter goes by itself.
func TestAuto_OutagesUseUpNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(string) error{"outage": outage, "topic_is_missing": missing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, p := outageLetters(20), &publisher{fault: fault}
				works := health{time.Now().Add(-time.Hour)}
				auto(t, s, p, works, time.Hour)
				for id, l := range s.letters {
					if l.AutoReplays != 0 || l.State != letters.StateOpen {
						t.Errorf("after the outage %s is %s and has gone %d times", id, l.State, l.AutoReplays)
					}
				}
				if claims := s.claims(); claims < 3 || claims > 7 {
					t.Errorf("%d tries in an hour, want one in ten minutes: each is written down for ever", claims)
				}
				p.fault = nil
				auto(t, s, p, works, time.Hour)
				if n := p.total(); n != 20 {
					t.Errorf("%d of 20 letters were sent after the outage", n)
				}
			})
		})
	}
}

// Many letters go out past those of a topic that is missing.
func TestAuto_AMissingTopicIsSeldomTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := outageLetters(200)
		s.letters["l-199"].Topic = "job-phases" // the newest, so tried first
		p := &publisher{fault: func(data string) error {
			if data == "l-199" {
				return missing(data)
			}
			return nil
		}}
		auto(t, s, p, health{time.Now().Add(-time.Hour)}, 29*time.Minute)
		if n := p.total(); n != 199 {
			t.Errorf("%d of 199 letters were sent", n)
		}
		if n := s.letters["l-199"].Replays; n != 3 {
			t.Errorf("the letter of the missing topic was tried %d times in half an hour", n)
		}
	})
}

func TestAuto_TriesNothingWhilePubSubIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := outageLetters(5), &publisher{}
		up := carrier{time.Now().Add(time.Hour)}
		auto(t, s, p, up, 59*time.Minute)
		if n := s.claims(); n != 0 {
			t.Errorf("%d letters were claimed while nothing could be sent", n)
		}
		auto(t, s, p, up, time.Hour)
		if n := p.total(); n != 5 {
			t.Errorf("%d of 5 letters were sent", n)
		}
	})
}

// A topic that is missing holds up its own letters alone, and a message that is
// refused for good is given up after its tries.
func TestAuto_OneTopicHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := outageLetters(10)
		s.letters["l-09"].Topic, s.letters["l-08"].Topic = "job-phases", "job-phases" // the newest, so tried first
		p := &publisher{fault: func(data string) error {
			switch data {
			case "l-09", "l-08":
				return missing(data)
			case "l-07":
				return resilience.Permanent(errors.New("too large"))
			}
			return nil
		}}
		auto(t, s, p, health{time.Now().Add(-time.Hour)}, 25*time.Minute)
		if n := p.total(); n != 7 {
			t.Errorf("%d of 7 letters were sent", n)
		}
		if l := s.letters["l-07"]; l.AutoReplays != 3 || l.Replays != 3 {
			t.Errorf("what is refused for good was tried %d times and counts %d, want 3", l.Replays, l.AutoReplays)
		}
		if l := s.letters["l-09"]; l.AutoReplays != 0 || s.letters["l-08"].Replays != 0 {
			t.Errorf("of a missing topic: %d tries count, and %d letters behind it were tried", l.AutoReplays, s.letters["l-08"].Replays)
		}
	})
}

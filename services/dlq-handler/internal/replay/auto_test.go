package replay_test

import (
	"context"
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

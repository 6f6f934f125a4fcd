package app

import (
	"context"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
)

// lookAtHealth is the time between looks at the dependencies. They ask nobody
// while there is work: the parts of this process know whether they were answered.
const lookAtHealth = time.Second

// health remembers since when the dependencies of this process have worked.
type health struct {
	checks map[string]func(context.Context) error
	now    func() time.Time

	mu    sync.Mutex
	since map[string]time.Time
}

// dependencies are what HealthySince is asked about. A topic that is missing is a
// fault of Pub/Sub to who died of it; to others Pub/Sub has answered.
func dependencies(firestore, pubsub func(context.Context) error) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"firestore": firestore, "pubsub": pubsub,
		replay.Carrier: func(ctx context.Context) error {
			if err := pubsub(ctx); !messaging.Missing(err) {
				return err
			}
			return nil
		},
	}
}

func newHealth(checks map[string]func(context.Context) error, now func() time.Time) *health {
	h := &health{checks: checks, now: now, since: map[string]time.Time{}}
	for name := range checks {
		h.since[name] = now() // start-up has just found them working
	}
	return h
}

func (h *health) run(ctx context.Context) error {
	ticker := time.NewTicker(lookAtHealth)
	defer ticker.Stop()
	for {
		h.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *health) look(ctx context.Context) {
	for name, check := range h.checks {
		err := check(ctx)
		h.mu.Lock()
		if _, healthy := h.since[name]; err != nil {
			delete(h.since, name)
		} else if !healthy {
			h.since[name] = h.now()
		}
		h.mu.Unlock()
	}
}

// HealthySince is since when a dependency has worked; ok is false while it does
// not. One that this process does not use has always worked, as far as it knows:
// that no letter dies of it is what then counts.
func (h *health) HealthySince(dependency string) (since time.Time, ok bool) {
	if _, mine := h.checks[dependency]; !mine {
		return time.Time{}, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	since, ok = h.since[dependency]
	return since, ok
}

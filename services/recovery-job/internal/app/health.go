package app

import (
	"context"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// watched is the service whose heartbeats tell whether news gets through.
const watched = "status-updater"

// healthAge is how long an answer about the pipeline holds. A run takes longer,
// and the pipeline may break or heal in it.
const healthAge = 30 * time.Second

// health asks how the pipeline is, and remembers it for a moment.
type health struct {
	beats  func(ctx context.Context, service string) ([]jobstore.Heartbeat, error)
	pubsub func(ctx context.Context) error
	now    func() time.Time

	mu   sync.Mutex
	last judge.Pipeline
	at   time.Time
}

// Pipeline implements run.Health.
func (h *health) Pipeline(ctx context.Context) judge.Pipeline {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.Probe == judge.NotAsked || h.now().Sub(h.at) >= healthAge {
		h.last, h.at = h.ask(ctx), h.now()
	}
	return h.last
}

func (h *health) ask(ctx context.Context) judge.Pipeline {
	p := judge.Pipeline{Probe: judge.Answered}
	if err := h.pubsub(ctx); err != nil {
		p.PubSub = err.Error()
	}
	beats, err := h.beats(ctx, watched)
	if err != nil {
		p.Probe, p.Fault = judge.Failed, judge.Fault{Kind: judge.FaultUnavailable, Err: err.Error()}
		return p
	}
	for i := range beats {
		b := &beats[i]
		p.Beats = append(p.Beats, judge.Beat{At: b.At, Every: b.Every, BacklogAge: b.BacklogAge, Receiving: b.Receiving})
	}
	return p
}

//go:build integration

package e2e

import (
	"context"
	"strings"
	"sync"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// phases collects the phases of a project that tell of dead letters, as
// phase-tracer's subscription gets them.
type phases struct {
	mu  sync.Mutex
	all map[string]*resiliencyv1.PhaseEvent // by event id
}

// collectPhases receives until the test ends.
func (s *system) collectPhases() *phases {
	s.t.Helper()
	c := &phases{all: map[string]*resiliencyv1.PhaseEvent{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(topology.SubscriptionJobPhasesPhaseTracer).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			p := new(resiliencyv1.PhaseEvent)
			if proto.Unmarshal(m.Data, p) == nil && p.GetDeadLettered() != nil {
				c.mu.Lock()
				c.all[p.GetEventId()] = p
				c.mu.Unlock()
			}
			m.Ack()
		})
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive phases: %v", err)
		}
	})
	return c
}

// expect waits for the phase of a job that tells of a letter, and why it died.
func (c *phases) expect(s *system, jobID, letterID, reason string) {
	s.t.Helper()
	s.eventually("a phase of job "+jobID, func() (bool, string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.all {
			if p.GetJobId() != jobID {
				continue
			}
			dead := p.GetDeadLettered()
			return dead.GetLetterId() == letterID && dead.GetReason() == reason && strings.Contains(p.GetMessage(), "died"), p.String()
		}
		return false, "none"
	})
}

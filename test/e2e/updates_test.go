//go:build integration

package e2e

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// updates collects all JobUpdates of a project, as the product's own
// subscription gets them.
type updates struct {
	mu sync.Mutex
	// contents holds the bytes first seen under each id.
	contents map[string][]byte
	// ends counts the ids of updates that tell of an end, by job.
	ends map[string]map[string]bool
	// differing are ids that came with two contents, repeats those that came again.
	differing []string
	repeats   int
	broken    []error
}

// collectUpdates receives until the test ends.
func (s *system) collectUpdates() *updates {
	s.t.Helper()
	u := &updates{contents: map[string][]byte{}, ends: map[string]map[string]bool{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(topology.SubscriptionJobUpdatesProduct).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			u.take(m)
			m.Ack()
		})
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive updates: %v", err)
		}
	})
	return u
}

func (u *updates) take(m *pubsub.Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	update := new(resiliencyv1.JobUpdate)
	if err := proto.Unmarshal(m.Data, update); err != nil {
		u.broken = append(u.broken, err)
		return
	}
	id := update.GetEventId()
	if before, seen := u.contents[id]; seen {
		u.repeats++
		if !bytes.Equal(before, m.Data) {
			u.differing = append(u.differing, id)
		}
		return
	}
	u.contents[id] = m.Data
	switch update.GetEvent().(type) {
	case *resiliencyv1.JobUpdate_Succeeded, *resiliencyv1.JobUpdate_Failed, *resiliencyv1.JobUpdate_Cancelled, *resiliencyv1.JobUpdate_Corrected:
		if u.ends[update.GetJobId()] == nil {
			u.ends[update.GetJobId()] = map[string]bool{}
		}
		u.ends[update.GetJobId()][id] = true
	}
}

// publishUpdate sends an update that tells of nothing.
func (s *system) publishUpdate(id string) {
	s.t.Helper()
	data, err := proto.Marshal(&resiliencyv1.JobUpdate{EventId: id})
	if err != nil {
		s.t.Fatal(err)
	}
	p := s.pubsub.Publisher(topology.TopicJobUpdates)
	defer p.Stop()
	if _, err := p.Publish(s.t.Context(), &pubsub.Message{Data: data}).Get(s.t.Context()); err != nil {
		s.t.Fatalf("publish update %s: %v", id, err)
	}
}

// ended is how many ids of ends have come.
func (u *updates) ended() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, ids := range u.ends {
		n += len(ids)
	}
	return n
}

// expectEnds waits until each job's end has been told and nothing is left in
// the outbox, and checks that each was told under one id with one content.
func (u *updates) expectEnds(s *system, jobs int) {
	s.t.Helper()
	s.eventually("an update of each end", func() (bool, string) {
		return u.ended() >= jobs, formatFloat(float64(u.ended()))
	})
	s.eventually("the outbox to be empty", func() (bool, string) {
		docs, err := s.firestore.Collection("outbox").Documents(s.t.Context()).GetAll()
		if err != nil {
			return false, err.Error()
		}
		return len(docs) == 0, formatFloat(float64(len(docs)))
	})
	// Whatever was sent before this marker has come when it comes, or comes again.
	s.publishUpdate("marker")
	s.eventually("the marker behind all updates", func() (bool, string) {
		u.mu.Lock()
		defer u.mu.Unlock()
		_, came := u.contents["marker"]
		return came, formatFloat(float64(len(u.contents)))
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, ids := range u.ends {
		if len(ids) != 1 {
			s.t.Errorf("the end of job %s was told under %d ids", id, len(ids))
		}
	}
	if len(u.ends) != jobs {
		s.t.Errorf("ends of %d jobs were told, want %d", len(u.ends), jobs)
	}
	if len(u.differing) > 0 || len(u.broken) > 0 {
		s.t.Errorf("ids with two contents: %v; unreadable updates: %v", u.differing, u.broken)
	}
	s.t.Logf("%d updates, %d ends, %d repeats", len(u.contents), len(u.ends), u.repeats)
}

func TestOutboxIsEmptyAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "outbox", updater)
	u := s.collectUpdates()
	const jobs = 50
	for i := range jobs {
		id := "o-" + formatFloat(float64(i))
		s.publish(id, wire(t, event(id)))
		s.publish(id, wire(t, event(id, func(e *resiliencyv1.JobEvent) {
			e.EventId += "-end"
			e.GetStatusObserved().State = resiliencyv1.JobState_JOB_STATE_SUCCEEDED
			e.GetStatusObserved().Evidence = resiliencyv1.Evidence_EVIDENCE_STATED
		})))
	}
	u.expectEnds(s, jobs)
}

//go:build integration

package e2e

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// leaseEnv is a lease short enough for a test; leaseFor is its duration.
const leaseFor = 6 * time.Second

func leaseEnv() []string {
	return []string{"LEASE_DURATION=" + leaseFor.String(), "RENEW_DEADLINE=2s", "RETRY_PERIOD=500ms"}
}

func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "leader", updater)
	for _, name := range []string{"streamer-a", "streamer-b"} {
		s.start(stack.ServiceSpec{Name: name, Binary: binary(streamer), Env: leaseEnv()})
	}
	jobs, pace := 200, 15.0
	if soak() {
		jobs, pace = 2000, 50
	}
	d := s.drive(drive.Plan{Prefix: "l", Scenarios: withoutDeletions(jobs), PerSecond: pace})
	var group errgroup.Group
	group.Go(func() error { return d.Play(t.Context()) })
	group.Go(atFractions(t, d, []float64{0.5}, func() error {
		leader, standby := "streamer-a", "streamer-b"
		if s.metric(standby, "event_streamer_leader", nil) == 1 {
			leader, standby = standby, leader
		}
		if s.metric(leader, "event_streamer_leader", nil) != 1 {
			t.Error("nobody leads")
		}
		if err := s.services[leader].Kill(); err != nil {
			return err
		}
		killed := time.Now()
		s.eventually("the standby to lead", func() (bool, string) {
			n := s.metric(standby, "event_streamer_leader", nil)
			return n == 1, formatFloat(n)
		})
		t.Logf("the standby led %.1f s after the leader's death", time.Since(killed).Seconds())
		// A retry may just have passed, and two cores are shared.
		if took := time.Since(killed); took > 2*leaseFor {
			t.Errorf("the take-over took %s, the lease lasts %s", took, leaseFor)
		}
		return nil
	}))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.settle(d)
}

// published collects which jobs are told of on job-events, by a subscription of
// its own.
type published struct {
	mu   sync.Mutex
	jobs map[string]int
}

func (p *published) of(prefix string) (jobs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.jobs {
		if len(id) >= len(prefix) && id[:len(prefix)] == prefix {
			jobs++
		}
	}
	return jobs
}

func (s *system) collectPublished() *published {
	s.t.Helper()
	const id = "test-published"
	_, err := s.pubsub.SubscriptionAdminClient.CreateSubscription(s.t.Context(), &pubsubpb.Subscription{
		Name: topology.SubscriptionName(s.ID, id), Topic: topology.TopicName(s.ID, topology.TopicJobEvents), AckDeadlineSeconds: 60,
	})
	if err != nil {
		s.t.Fatalf("create a subscription of the test: %v", err)
	}
	p := &published{jobs: map[string]int{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.pubsub.Subscriber(id).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			m.Ack()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.jobs[m.Attributes["job_id"]]++
		})
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("receive what is published: %v", err)
		}
	})
	return p
}

// A restart publishes what ended while nobody watched, and hardly anything of
// what was published before.
func TestRestartPublishesOnlyNews(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "restart", updater)
	s.start(stack.ServiceSpec{Name: streamer, Env: leaseEnv()})
	before, during := 300, 60
	if soak() {
		before, during = 5000, 200
	}
	succeed := func(prefix string, jobs int) *drive.Driver {
		return s.drive(drive.Plan{Prefix: prefix, PerSecond: 50, Scenarios: []drive.Scenario{
			{Name: "succeed", Jobs: jobs, Expected: drive.Succeeded, Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed}},
		}})
	}
	old := succeed("old", before)
	if err := old.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.settle(old)
	if err := s.services[streamer].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	news := succeed("new", during)
	if err := news.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := s.collectPublished()
	if err := s.services[streamer].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.settle(news)
	// A Job created now is told of after all that the first list showed.
	s.create(stack.JobSpec{Name: "last", Outcome: stack.OutcomeSucceed})
	s.awaitState("last", drive.Succeeded)
	s.eventually("the last job's events", func() (bool, string) {
		n := told.of("last")
		return n == 1, strconv.Itoa(n)
	})
	again, fresh := told.of("old"), told.of("new")
	t.Logf("after the restart: %d of %d new jobs published, %d of %d old ones again", fresh, during, again, before)
	if fresh != during {
		t.Errorf("%d of %d jobs that ended meanwhile were published", fresh, during)
	}
	if again >= 50 {
		t.Errorf("%d jobs were published again, want fewer than 50", again)
	}
}

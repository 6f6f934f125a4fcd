package messaging_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// TestSubscriber_MissingSubscriptionIsAnOutage: not ready, no exit, and all by
// itself once it has been created.
func TestSubscriber_MissingSubscriptionIsAnOutage(t *testing.T) {
	t.Parallel()
	b := newBareBench(t)
	handled := make(chan struct{}, 1)
	s := b.subscribe(t, b.config(), func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
		handled <- struct{}{}
		return nil
	})
	eventually(t, "three refused pulls", func() bool { return b.value(t, "resiliency_receive_failures_total") >= 3 })
	var err error
	eventually(t, "not ready", func() bool { err = s.Ready(t.Context()); return err != nil })
	if resilience.CategoryOf(err) != resilience.CategoryDependency || resilience.DependencyOf(err) != "pubsub" {
		t.Errorf("Ready = %v", err)
	}
	b.line(t, "pull broke off", `"subscription":"job-events-status-updater"`, "NotFound")

	b.Provision(t)
	id := b.put(t, event("e-1"))
	receive(t, handled, "the message after provisioning")
	b.acked(t, id)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v", err)
	}
	if err := s.end(t); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// TestSubscriber_ReadyWithoutMessages: a pull that holds is a pull that works.
func TestSubscriber_ReadyWithoutMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.subscribe(t, b.config(), nil)
	eventually(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
	stopped := messaging.NewSubscriber(b.Client, b.publisher, b.config(),
		func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error { return nil }, nil, b.logger())
	if err := stopped.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not being pulled") {
		t.Errorf("Ready before Run = %v", err)
	}
}

// TestSubscriber_ReturnsWhilePubSubHangs: the last ack cannot be sent, and Run
// must wait for it neither for the client's minute nor for the whole budget.
func TestSubscriber_ReturnsWhilePubSubHangs(t *testing.T) {
	t.Parallel()
	fault := messagingtest.NewFault("Acknowledge")
	b := newBench(t, fault)
	release := make(chan struct{})
	fault.Set(func(any) error { <-release; return nil }) // holds the server's lock: all of it hangs
	defer close(release)
	cfg := b.config()
	cfg.ShutdownBudget = time.Minute
	started, finish := make(chan struct{}), make(chan struct{})
	s := b.subscribe(t, cfg, func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error {
		close(started)
		<-finish
		return nil
	})
	b.put(t, event("e-1"))
	receive(t, started, "the handler")
	s.stop()
	close(finish)
	if err := receive(t, s.done, "Run"); resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("Run = %v, want a fault of Pub/Sub", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	handler := func(context.Context, *resiliencyv1.JobEvent, messaging.Meta) error { return nil }
	b := newBareBench(t)
	s := messaging.NewSubscriber(b.Client, b.publisher, b.config(), handler, b.reg, b.logger())
	err := s.Check(t.Context())
	if resilience.CategoryOf(err) != resilience.CategoryDependency || !strings.Contains(err.Error(), "job-events-status-updater") {
		t.Errorf("missing subscription: %v", err)
	}
	err = b.publisher.Check(t.Context(), topology.TopicJobEvents, topology.TopicJobPhases)
	if err == nil || !strings.Contains(err.Error(), "job-events") || !strings.Contains(err.Error(), "job-phases") {
		t.Errorf("missing topics: %v", err)
	}
	b.Provision(t)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("subscription: %v", err)
	}
	if err := b.publisher.Check(t.Context(), topology.TopicJobEvents, topology.TopicJobPhases); err != nil {
		t.Errorf("topics: %v", err)
	}

	fault := messagingtest.NewFault("GetSubscription")
	refused := newBench(t, fault)
	fault.Set(func(any) error { return status.Error(codes.PermissionDenied, "subscriber only") })
	s = messaging.NewSubscriber(refused.Client, nil, refused.config(), handler, nil, refused.logger())
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("a subscriber that may not read settings: %v", err)
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	if _, err := messaging.NewClient(t.Context(), ""); err == nil {
		t.Error("no project, yet a client")
	}
}

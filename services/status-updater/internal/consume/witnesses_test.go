package consume

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Both watchers say the same, so whoever comes second changes nothing, and who
// came first is counted.
func TestWitnesses_FirstAndDuplicate(t *testing.T) {
	t.Parallel()
	b := newBench()
	done := fixtureEvent(streamer, 30, job.StateSucceeded, job.EvidenceCondition)
	if err := b.say(t, line(t, byWitness(), nil, "job_event", done), 1); err != nil {
		t.Fatal(err)
	}
	if err := b.HandleJobEvent(t.Context(), done, messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := b.say(t, line(t, byWitness(), nil, "phase_event", fixturePhase(streamer)), 1); err != nil {
		t.Fatal(err)
	}
	// The witness is who GKE says it is, whatever its lines say.
	want := []string{"log_witness first", "event_streamer duplicate", "log_witness"}
	if diff := cmp.Diff(want, b.sources.said); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if b.count("applied", "log_witness", "status") != 1 || b.count("duplicate", "event_streamer", "status") != 1 {
		t.Error("not counted by source")
	}
	phase := fixturePhase(witness)
	if diff := cmp.Diff([]*resiliencyv1.PhaseEvent{phase}, b.phases.published, protocmp.Transform()); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
}

// With both watchers dead the Event alone ends the job; and with both alive, it
// writes nothing.
func TestWitnesses_EventsOfKubernetes(t *testing.T) {
	t.Parallel()
	alone := newBench()
	alone.know(t)
	if err := alone.say(t, fixtures(t)["job_Completed"], 1); err != nil {
		t.Fatal(err)
	}
	v := alone.records.record.View()
	if v.State != job.StateSucceeded || v.Evidence != job.EvidenceCondition || !v.OccurredAt.Equal(time.Date(2026, 11, 21, 10, 42, 10, 0, time.UTC)) {
		t.Errorf("record says %+v", v)
	}
	if diff := cmp.Diff([]string{"kubernetes_event first"}, alone.sources.said); diff != "" || len(alone.outbox.offered) != 1 {
		t.Errorf("%d updates, sources (-want +got):\n%s", len(alone.outbox.offered), diff)
	}

	second := newBench()
	second.know(t)
	done := fixtureEvent(streamer, 0, job.StateSucceeded, job.EvidenceCondition)
	done.OccurredAt = timestamppb.New(time.Date(2026, 11, 21, 10, 42, 9, 0, time.UTC))
	done.GetStatusObserved().Detail = "Complete=True"
	if err := second.HandleJobEvent(t.Context(), done, messaging.Meta{}); err != nil {
		t.Fatal(err)
	}
	revision := second.records.revision
	if err := second.say(t, fixtures(t)["job_Completed"], 1); err != nil {
		t.Fatal(err)
	}
	if second.records.revision != revision || second.sources.said[1] != "kubernetes_event duplicate" {
		t.Errorf("revision %d after %d, sources %v", second.records.revision, revision, second.sources.said)
	}
}

// An Event that is faster than the watchers lets them speak first, so that one
// end is one commit; if they stay silent it ends the job all the same.
func TestWitnesses_AnEarlyEventLetsTheWatchersSpeakFirst(t *testing.T) {
	t.Parallel()
	play := func(t *testing.T, meanwhile func(b *bench)) (b *bench, waited time.Duration) {
		b = newBench()
		b.know(t)
		ended := time.Date(2026, 11, 21, 10, 42, 10, 0, time.UTC)
		begin := time.Now()
		b.EventGrace, b.Now = 3*time.Second, func() time.Time { return ended.Add(700*time.Millisecond + time.Since(begin)) }
		done := make(chan error)
		go func() { done <- b.say(t, fixtures(t)["job_Completed"], 1) }()
		synctest.Wait()
		meanwhile(b)
		if err := <-done; err != nil {
			t.Error(err)
		}
		return b, time.Since(begin)
	}
	synctest.Test(t, func(t *testing.T) {
		b, waited := play(t, func(*bench) {})
		if v := b.records.record.View(); v.State != job.StateSucceeded || waited != 2300*time.Millisecond {
			t.Errorf("after %s record says %+v", waited, v)
		}
		b, waited = play(t, func(b *bench) {
			e := fixtureEvent(streamer, 0, job.StateSucceeded, job.EvidenceCondition)
			e.OccurredAt = timestamppb.New(time.Date(2026, 11, 21, 10, 42, 10, 0, time.UTC))
			e.GetStatusObserved().Detail = "Complete=True"
			if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil {
				t.Error(err)
			}
		})
		if b.records.revision != 2 || waited != 2300*time.Millisecond {
			t.Errorf("after %s revision %d", waited, b.records.revision)
		}
		// A repeat does not wait.
		begin := time.Now()
		if err := b.say(t, fixtures(t)["job_Completed"], 1); err != nil || time.Since(begin) != 0 {
			t.Errorf("a repeat waits %s: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		late := newBench()
		late.know(t)
		late.EventGrace, late.Now = 24*time.Hour, time.Now
		err := late.HandleLogEntry(ctx, messaging.RawMessage{Data: edited(t, "job_Completed", func(e object) {
			e["lastTimestamp"] = time.Now().Format(time.RFC3339)
		})})
		if resilience.CategoryOf(err) != resilience.CategoryRetryable || late.entries("event_of_job", "error") != 1 {
			t.Errorf("cut off while it waits: %v", err)
		}
	})
}

// An Event that completes a Job must not end a job that goes on, nor one of
// which nobody said what its end means.
func TestWitnesses_CompletedIsNotTheEndOfEveryJob(t *testing.T) {
	t.Parallel()
	goesOn := newBench()
	goesOn.know(t, func(e *resiliencyv1.JobEvent) { e.Kubernetes.StageFinal = new(false) })
	if err := goesOn.say(t, fixtures(t)["job_Completed"], 1); err != nil {
		t.Fatal(err)
	}
	if v := goesOn.records.record.View(); v.State != job.StateRunning || !v.StageDone {
		t.Errorf("record says %+v", v)
	}
	unknown := newBench()
	unknown.know(t, func(e *resiliencyv1.JobEvent) { e.Kubernetes.StageFinal = nil })
	if err := unknown.say(t, fixtures(t)["job_Completed"], 2); err != nil {
		t.Fatal(err)
	}
	if v := unknown.records.record.View(); v.State != job.StateRunning || v.StageDone || unknown.entries("event_of_job", "end_unknown") != 1 {
		t.Errorf("record says %+v", v)
	}
}

// A pod's Event names no Job. The Event of the pod's creation does.
func TestWitnesses_PodsAreTiedByTheirCreation(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.know(t)
	for _, name := range []string{"job_SuccessfulCreate", "pod_Evicted", "job_BackoffLimitExceeded"} {
		if err := b.say(t, fixtures(t)[name], 1); err != nil {
			t.Fatal(err)
		}
	}
	v := b.records.record.View()
	if v.State != job.StateFailed || v.Cause.Cause != job.CauseEvicted || v.Cause.Pod != fixturePod {
		t.Errorf("record says %+v", v)
	}
	if b.entries("event_of_pod", "claim") != 1 || b.count("applied", "kubernetes_event", "cause") != 1 {
		t.Error("not counted")
	}
	// The job has moved on: what is said of the old Job's pods is nobody's.
	b.know(t, func(e *resiliencyv1.JobEvent) { e.Attempt, e.Kubernetes.Uid = 2, "u-2" })
	if err := b.say(t, fixtures(t)["pod_Preempted"], 1); err != nil || b.entries("event_of_pod", "unknown_uid") != 1 {
		t.Errorf("error %v", err)
	}
}

// What a container says of its Kubernetes Job is not believed beyond that it is
// its own: a creation time of its choice would found a life of its own.
func TestWitnesses_AContainerKnowsNothingOfItsKubernetesJob(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.know(t)
	before := b.records.record.Kubernetes
	failed := fixtureEvent(sdk, 30, job.StateFailed, job.EvidenceStated)
	failed.Kubernetes.CreatedAt = timestamppb.New(noon)
	failed.Kubernetes.Name, failed.Kubernetes.StageFinal = "x", new(false)
	if err := b.say(t, line(t, byContainer(), ofJob(fixtureJob), "job_event", failed), 1); err != nil {
		t.Fatal(err)
	}
	r := &b.records.record
	if r.Kubernetes != before || r.View().State != job.StateFailed || r.View().Evidence != job.EvidenceStated {
		t.Errorf("Kubernetes Job %+v, record says %+v", r.Kubernetes, r.View())
	}
	if diff := cmp.Diff([]string{"sdk first"}, b.sources.said); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

package consume

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// created lets the bench know the job as its creator told of it: before any
// watcher, so that no Kubernetes Job is named.
func (b *bench) created(t *testing.T) {
	t.Helper()
	b.know(t, func(e *resiliencyv1.JobEvent) {
		e.Source, e.Kubernetes = sdk, nil
		e.Stage = &resiliencyv1.Stage{Name: "backend", Ordinal: 10}
		e.GetStatusObserved().State = job.StatePending
	})
}

// ranBefore lets the bench know the job at the Kubernetes Job before the one of
// the fixtures.
func (b *bench) ranBefore(t *testing.T) {
	t.Helper()
	b.know(t, func(e *resiliencyv1.JobEvent) {
		e.Kubernetes.Uid = "u-before"
		e.Kubernetes.CreatedAt = timestamppb.New(e.Kubernetes.GetCreatedAt().AsTime().Add(-1))
	})
}

// saysIt are the lines of a container that need a record that names its Job.
func saysIt(t *testing.T) map[string][]byte {
	t.Helper()
	labels := ofJob(fixtureJob)
	labels["k8s-pod/batch_kubernetes_io/controller-uid"] = fixtureUID
	claim := fixtureEvent(sdk, 30, job.StateFailed, job.EvidenceStated)
	unnamed := fixtureEvent(sdk, 30, job.StateFailed, job.EvidenceStated)
	unnamed.Kubernetes = nil
	return map[string][]byte{
		"claim":         line(t, byContainer(), labels, "job_event", claim),
		"claim, bare":   line(t, byContainer(), labels, "job_event", unnamed),
		"names its Job": line(t, byContainer(), ofJob(fixtureJob), "job_event", claim),
		"phase":         line(t, byContainer(), labels, "phase_event", fixturePhase(sdk)),
	}
}

// A replica that holds an older record in memory must not refuse a line by it:
// another replica may have merged the watcher's word since.
func TestBehind_LinesAreJudgedByTheRecordAsItIs(t *testing.T) {
	t.Parallel()
	for before, know := range map[string]func(*bench, *testing.T){"no Job yet": (*bench).created, "the Job before": (*bench).ranBefore} {
		for name, data := range saysIt(t) {
			t.Run(before+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newBench()
				know(b, t)
				b.records.memorize()
				b.know(t) // by another replica
				if err := b.say(t, data, 1); err != nil {
					t.Fatal(err)
				}
				if b.records.calls+len(b.phases.published) != 1 || b.records.reads != 1 {
					t.Errorf("%d claims and %d phases after %d reads", b.records.calls, len(b.phases.published), b.records.reads)
				}
				if k := b.records.record.Kubernetes; k.UID != fixtureUID {
					t.Errorf("the record is at %s", k.UID)
				}
			})
		}
	}
}

// A line may overtake the watcher's word on its Kubernetes Job, mostly when a
// backlog is worked off: it comes once more, and counts if the word has come.
func TestBehind_LinesComeOnceMore(t *testing.T) {
	t.Parallel()
	for before, know := range map[string]func(*bench, *testing.T){"no Job yet": (*bench).created, "the Job before": (*bench).ranBefore} {
		for name, data := range saysIt(t) {
			t.Run(before+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newBench()
				know(b, t)
				err := b.say(t, data, 1)
				if err == nil || resilience.CategoryOf(err) != resilience.CategoryRetryable {
					t.Fatalf("first delivery: %v", err)
				}
				b.records.memorize() // as the first delivery has left it
				b.know(t)
				if err := b.say(t, data, 2); err != nil || b.records.calls+len(b.phases.published) != 1 {
					t.Errorf("second delivery: %v, %d claims and %d phases", err, b.records.calls, len(b.phases.published))
				}
				never := newBench()
				know(never, t)
				if err := never.say(t, data, 2); err != nil || never.records.calls+len(never.phases.published) != 0 {
					t.Errorf("the word never came: %v, %d claims", err, never.records.calls)
				}
			})
		}
	}
}

// What the record in memory vouches for costs no read.
func TestBehind_WhatSuitsCostsNothing(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.know(t)
	b.records.memorize()
	for _, data := range saysIt(t) {
		if err := b.say(t, data, 1); err != nil {
			t.Error(err)
		}
	}
	if err := b.say(t, fixtures(t)["job_Completed"], 1); err != nil {
		t.Error(err)
	}
	if b.records.reads != 0 {
		t.Errorf("%d reads", b.records.reads)
	}
}

// What the end of a Job means may have been said to another replica, or may be
// on its way.
func TestBehind_AnEndOfUnknownMeaning(t *testing.T) {
	t.Parallel()
	untold := func(e *resiliencyv1.JobEvent) { e.Kubernetes.StageFinal = nil }
	b := newBench()
	b.know(t, untold)
	b.records.memorize()
	b.know(t)
	if err := b.say(t, fixtures(t)["job_Completed"], 1); err != nil || b.records.record.View().State != job.StateSucceeded {
		t.Errorf("said to another replica: %v, record says %+v", err, b.records.record.View())
	}

	late := newBench()
	late.know(t, untold)
	if err := late.say(t, fixtures(t)["job_Completed"], 1); err == nil || late.entries("event_of_job", "early") != 1 {
		t.Errorf("on its way: %v", err)
	}
	late.records.memorize()
	late.know(t)
	if err := late.say(t, fixtures(t)["job_Completed"], 2); err != nil || late.records.record.View().State != job.StateSucceeded {
		t.Errorf("once it has come: %v, record says %+v", err, late.records.record.View())
	}

	// Of a job that has moved on the new Job's meaning tells nothing.
	moved := newBench()
	moved.know(t, untold)
	moved.records.memorize()
	moved.know(t, func(e *resiliencyv1.JobEvent) {
		e.Kubernetes.Uid = "u-next"
		e.Kubernetes.CreatedAt = timestamppb.New(e.Kubernetes.GetCreatedAt().AsTime().Add(1e9))
	})
	revision := moved.records.revision
	_ = moved.say(t, fixtures(t)["job_Completed"], 1)
	if moved.records.revision != revision || moved.records.calls != 0 {
		t.Error("the end of one Job is taken for that of the next")
	}
}

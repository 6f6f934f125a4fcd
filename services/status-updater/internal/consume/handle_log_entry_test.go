package consume

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	streamer = resiliencyv1.Source_SOURCE_EVENT_STREAMER
	witness  = resiliencyv1.Source_SOURCE_LOG_WITNESS
	sdk      = resiliencyv1.Source_SOURCE_SDK
)

// what becomes of an entry: acked, dead-lettered, or given back to come again.
const (
	acked = ""
	dead  = string(resilience.CategoryPermanent)
	again = string(resilience.CategoryRetryable)
)

// TestHandleLogEntry_Outcomes gives every input that we could think of a named
// outcome, and nothing but a claim that counts touches a record.
func TestHandleLogEntry_Outcomes(t *testing.T) {
	t.Parallel()
	type event = resiliencyv1.JobEvent
	type phase = resiliencyv1.PhaseEvent
	f := fixtures(t)
	claim := func(from object, labels map[string]string, source job.Source, edits ...func(*event)) []byte {
		e := fixtureEvent(source, 30, job.StateSucceeded, job.EvidenceStated)
		for _, edit := range edits {
			edit(e)
		}
		return line(t, from, labels, "job_event", e)
	}
	byUs := func(edits ...func(*event)) []byte { return claim(byWitness(), nil, witness, edits...) }
	byIt := func(edits ...func(*event)) []byte { return claim(byContainer(), ofJob(fixtureJob), sdk, edits...) }
	phaseOf := func(from object, labels map[string]string, source job.Source, edits ...func(*phase)) []byte {
		p := fixturePhase(source)
		for _, edit := range edits {
			edit(p)
		}
		return line(t, from, labels, "phase_event", p)
	}
	in := func(from object, key, value string) object { from[key] = value; return from }
	raw := func(from object, payload any) []byte { return lineOf(t, from, ofJob(fixtureJob), payload) }
	otherJob := func(e *event) { e.JobId = "j-1" }
	future := timestamppb.New(noon.Add(11 * time.Minute))

	cases := []struct {
		name    string
		data    []byte
		kind    string
		outcome string
		then    string
	}{
		// Events of Kubernetes.
		{"a Job completed", f["job_Completed"], "event_of_job", "claim", acked},
		{"a Job failed", f["job_BackoffLimitExceeded"], "event_of_job", "claim", acked},
		{"a pod created", f["job_SuccessfulCreate"], "event_of_job", "pod_learned", acked},
		{"suspended", f["job_Suspended"], "event_of_job", "no_claim", acked},
		{"an unknown reason", edited(t, "job_Completed", func(e object) { e["reason"] = "Exploded" }), "event_of_job", "unknown_reason", acked},
		{"another component", edited(t, "job_Completed", func(e object) {
			e["source"], e["reportingComponent"] = object{"component": "x"}, "x"
		}), "event_of_job", "other_component", acked},
		{"no time", edited(t, "job_Completed", func(e object) { e["lastTimestamp"], e["metadata"] = nil, nil }), "event_of_job", "no_time", acked},
		{"combined", edited(t, "job_Completed", func(e object) {
			e["message"] = "(combined from similar events): Job completed"
		}), "event_of_job", "combined", acked},
		{"from the future", edited(t, "job_Completed", func(e object) { e["lastTimestamp"] = "2026-11-21T12:11:00Z" }), "event_of_job", "future", dead},
		{"a Job that nobody knows", edited(t, "job_Completed", func(e object) {
			e["involvedObject"].(object)["uid"] = "u-9"
		}), "event_of_job", "unknown_uid", acked},
		{"the UID of another namespace's Job", edited(t, "job_Completed", func(e object) {
			e["involvedObject"].(object)["namespace"] = "evil"
		}), "event_of_job", "untrusted", acked},
		{"a pod whose Job is not known", f["pod_Evicted"], "event_of_pod", "unknown_pod", acked},
		{"a pod that waits", f["pod_FailedScheduling"], "event_of_pod", "no_claim", acked},
		{"a node", f["node_OOMKilling"], "event_of_node", "ignored", acked},
		{"another cluster", []byte(strings.Replace(string(f["job_Completed"]), `"batch-1"`, `"batch-2"`, 1)), "event_of_job", "foreign", acked},
		// What says nothing.
		{"audit", f["audit_jobs_status_update"], "audit", "ignored", acked},
		{"text", encode(t, object{"textPayload": "Event exporter started", "resource": object{"labels": object{"cluster_name": "batch-1"}}}), "text", "ignored", acked},
		{"nothing", []byte(`{"resource":{"labels":{"cluster_name":"batch-1"}}}`), "unknown", "ignored", acked},
		{"a line of somebody", raw(byContainer(), object{"message": "hello"}), "unknown", "ignored", acked},
		// What cannot be read.
		{"broken JSON", f["job_Completed"][:200], "unknown", "undecodable", dead},
		{"protobuf", []byte("\x0a\x03abc"), "unknown", "undecodable", dead},
		{"1 MB", raw(byWitness(), object{"job_event": object{"detail": strings.Repeat("x", 1_000_000)}}), "unknown", "too_large", dead},
		{"a broken Event", edited(t, "job_Completed", func(e object) { e["involvedObject"] = "Job" }), "unknown", "undecodable", dead},
		// Lines of the witness.
		{"a claim of the witness", byUs(), "job_event", "claim", acked},
		{"fields of a later release", raw(byWitness(), object{"job_event": object{
			"job_id": fixtureJob, "attempt": 1, "occurred_at": "2026-11-21T11:00:00Z", "colour": "red",
			"status_observed": object{"state": "JOB_STATE_RUNNING", "mood": 1},
		}}), "job_event", "claim", acked},
		{"an event of a later release", raw(byWitness(), object{"job_event": object{
			"job_id": fixtureJob, "attempt": 1, "occurred_at": "2026-11-21T11:00:00Z", "progress_made": object{},
		}}), "job_event", "unknown", acked},
		{"the witness cannot be read", raw(byWitness(), object{"job_event": "RUNNING"}), "job_event", "undecodable", dead},
		{"the witness breaks the contract", byUs(func(e *event) { e.OccurredAt = nil }), "job_event", "invalid", dead},
		{"the witness is ahead", byUs(func(e *event) { e.OccurredAt = future }), "job_event", "invalid", dead},
		{"the witness names no job", byUs(func(e *event) { e.JobId = "../x" }), "job_event", "invalid", dead},
		{"a phase of the witness", phaseOf(byWitness(), nil, witness), "phase_event", "phase", acked},
		{"a phase without a time", phaseOf(byWitness(), nil, witness, func(p *phase) { p.OccurredAt = nil }), "phase_event", "invalid", dead},
		{"a phase that cannot be read", raw(byWitness(), object{"phase_event": 7}), "phase_event", "undecodable", dead},
		{"a phase of a later release", raw(byWitness(), object{"phase_event": object{
			"job_id": fixtureJob, "attempt": 1, "occurred_at": "2026-11-21T11:00:00Z", "paused": object{},
		}}), "phase_event", "unknown", acked},
		// Lines of a job's container.
		{"a claim of a container", byIt(), "job_event", "claim", acked},
		{"a phase of a container", phaseOf(byContainer(), ofJob(fixtureJob), sdk), "phase_event", "phase", acked},
		{"a container that cannot be read", raw(byContainer(), object{"job_event": "RUNNING"}), "job_event", "undecodable", acked},
		{"a container breaks the contract", byIt(func(e *event) { e.Attempt = 0 }), "job_event", "invalid", acked},
		{"a container is ahead", byIt(func(e *event) { e.OccurredAt = future }), "job_event", "invalid", acked},
		{"a phase of a container breaks the contract", phaseOf(byContainer(), ofJob(fixtureJob), sdk,
			func(p *phase) { p.JobId = "" }), "phase_event", "invalid", acked},
		{"a container speaks for another job", byIt(otherJob), "job_event", "untrusted", acked},
		{"a phase of another job", phaseOf(byContainer(), ofJob(fixtureJob), sdk, func(p *phase) { p.JobId = "j-1" }), "phase_event", "untrusted", acked},
		{"a container plays the witness", claim(byContainer(), ofJob(fixtureJob), witness), "job_event", "untrusted", acked},
		{"a container plays the streamer", claim(byContainer(), ofJob(fixtureJob), streamer), "job_event", "untrusted", acked},
		{"a phase in the witness's name", phaseOf(byContainer(), ofJob(fixtureJob), witness), "phase_event", "untrusted", acked},
		{"a container claims a condition", byIt(func(e *event) {
			e.GetStatusObserved().Evidence = job.EvidenceCondition
		}), "job_event", "untrusted", acked},
		{"a container says that its Job is gone", byIt(func(e *event) {
			e.Event = &resiliencyv1.JobEvent_Vanished{Vanished: &resiliencyv1.JobVanished{}}
		}), "job_event", "untrusted", acked},
		{"a container names another Kubernetes Job", byIt(func(e *event) { e.Kubernetes.Uid = "u-9" }), "job_event", "untrusted", acked},
		{"a pod of another Job with the label", claim(in(byContainer(), "pod_name", "other-7xk2p"), ofJob(fixtureJob), sdk), "job_event", "untrusted", acked},
		{"another namespace with the label", claim(in(byContainer(), "namespace_name", "evil"), ofJob(fixtureJob), sdk), "job_event", "untrusted", acked},
		{"a pod without the label", claim(byContainer(), nil, sdk), "job_event", "untrusted", acked},
		{"a phase of a pod without the label", phaseOf(byContainer(), nil, sdk), "phase_event", "untrusted", acked},
		{"a container named like the witness", claim(in(byContainer(), "container_name", "log-witness"), nil, witness), "job_event", "untrusted", acked},
		{"a sidecar of the witness", claim(in(byWitness(), "container_name", "sidecar"), nil, witness), "job_event", "untrusted", acked},
		{"the witness of another cluster", claim(in(byWitness(), "cluster_name", "batch-2"), nil, witness), "job_event", "foreign", acked},
		{"a job that nobody knows", claim(byContainer(), ofJob("j-9"), sdk, func(e *event) { e.JobId = "j-9" }), "job_event", "untrusted", acked},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			b.know(t)
			err := b.say(t, tc.data, 2)
			got := acked
			if err != nil {
				got = string(resilience.CategoryOf(err))
			}
			if got != tc.then {
				t.Errorf("error %v (%q), want %q", err, got, tc.then)
			}
			if b.entries(tc.kind, tc.outcome) != 1 {
				t.Errorf("not counted as %s %s", tc.kind, tc.outcome)
			}
			if claims := tc.outcome == "claim"; (b.records.calls == 1) != claims || (len(b.phases.published) == 1) != (tc.outcome == "phase") {
				t.Errorf("%d claims and %d phases", b.records.calls, len(b.phases.published))
			}
		})
	}
}

// Most of what is early comes right the second time, and nothing comes a third time.
func TestHandleLogEntry_EarlyComesOnceMore(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"the end of a Job": fixtures(t)["job_Completed"],
		"a container's line": line(t, byContainer(), ofJob(fixtureJob), "job_event",
			fixtureEvent(sdk, 30, job.StateRunning, 0)),
		"a container's phase": line(t, byContainer(), ofJob(fixtureJob), "phase_event", fixturePhase(sdk)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late := newBench()
			if err := late.say(t, data, 1); string(resilience.CategoryOf(err)) != again || err == nil {
				t.Errorf("first delivery: %v", err)
			}
			if err := late.say(t, data, 2); err != nil {
				t.Errorf("second delivery: %v", err)
			}
			if err := newBench().say(t, data, 0); err != nil {
				t.Errorf("a delivery that nobody counts: %v", err)
			}
			inTime := newBench()
			if err := inTime.say(t, data, 1); err == nil {
				t.Error("first delivery is acked")
			}
			inTime.know(t)
			if err := inTime.say(t, data, 2); err != nil || inTime.records.calls+len(inTime.phases.published) != 1 {
				t.Errorf("once the record is there: error %v", err)
			}
		})
	}
	// What is no end is not waited for.
	b := newBench()
	for name, data := range fixtures(t) {
		if err := b.say(t, data, 1); err != nil && !strings.HasSuffix(name, "Completed") && !strings.HasSuffix(name, "Exceeded") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandleLogEntry_FaultsComeAgain(t *testing.T) {
	t.Parallel()
	down := resilience.Dependency("firestore", errors.New("down"))
	for name, data := range map[string][]byte{
		"an Event":           fixtures(t)["job_Completed"],
		"the witness":        line(t, byWitness(), nil, "job_event", fixtureEvent(witness, 30, job.StateRunning, 0)),
		"a container":        line(t, byContainer(), ofJob(fixtureJob), "job_event", fixtureEvent(sdk, 30, job.StateRunning, 0)),
		"a container, phase": line(t, byContainer(), ofJob(fixtureJob), "phase_event", fixturePhase(sdk)),
	} {
		b := newBench()
		b.know(t)
		b.records.err = down
		if err := b.say(t, data, 3); !errors.Is(err, down) || resilience.CategoryOf(err) != resilience.CategoryDependency {
			t.Errorf("%s: error %v", name, err)
		}
		kind := "job_event"
		switch {
		case strings.Contains(name, "phase"):
			kind = "phase_event"
		case name == "an Event":
			kind = "event_of_job"
		}
		if b.entries(kind, "error") != 1 {
			t.Errorf("%s is not counted as an error", name)
		}
	}
	b := newBench()
	b.phases.err = resilience.Dependency("pubsub", errors.New("down"))
	err := b.say(t, line(t, byWitness(), nil, "phase_event", fixturePhase(witness)), 3)
	if !errors.Is(err, b.phases.err) || b.entries("phase_event", "error") != 1 || len(b.sources.said) != 0 {
		t.Errorf("a phase that is not confirmed: error %v", err)
	}
}

// Whoever can print lines must not fill the log either.
func TestHandleLogEntry_OdditiesAreCountedAndLoggedSparingly(t *testing.T) {
	t.Parallel()
	b := newBench()
	evil := line(t, byContainer(), nil, "job_event", fixtureEvent(sdk, 30, job.StateFailed, job.EvidenceStated))
	for range 1000 {
		if err := b.say(t, evil, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(b.lines.String(), "\n"); n == 0 || n > 2*maxOddities {
		t.Errorf("%d lines", n)
	}
	if b.entries("job_event", "untrusted") != 1000 || b.records.searches != 0 {
		t.Errorf("counted %v, %d searches", b.entries("job_event", "untrusted"), b.records.searches)
	}
	last := b.lastLine(t)
	if last["why"] != "its writer is neither the witness nor a job's container" || last["namespace"] != "etl" || last["pod"] != fixturePod {
		t.Errorf("line %v", last)
	}
}

package consume

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// FuzzHandleLogEntry feeds arbitrary entries: each is acked or a permanent error,
// and none claims anything about a job that it has no word in.
func FuzzHandleLogEntry(f *testing.F) {
	for _, entry := range fixtures(f) {
		f.Add(entry)
	}
	f.Add(line(f, byWitness(), nil, "job_event", fixtureEvent(witness, 30, job.StateFailed, job.EvidenceCondition)))
	f.Add(line(f, byContainer(), ofJob(fixtureJob), "job_event", fixtureEvent(sdk, 30, job.StateRunning, 0)))
	f.Add(line(f, byContainer(), ofJob(fixtureJob), "phase_event", fixturePhase(sdk)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench()
		b.know(t)
		if err := b.say(t, data, 2); err != nil && !resilience.IsPermanent(err) {
			t.Fatalf("comes again for ever: %v", err)
		}
		if err := job.CheckID(b.records.record.JobID); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzHandleJobEvent feeds arbitrary bytes as messages of topic job-events.
func FuzzHandleJobEvent(f *testing.F) {
	for _, source := range []job.Source{streamer, witness, sdk} {
		data, err := proto.Marshal(fixtureEvent(source, 30, job.StateFailed, job.EvidenceCondition))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := &resiliencyv1.JobEvent{}
		if proto.Unmarshal(data, e) != nil {
			return
		}
		b := newBench()
		if err := b.HandleJobEvent(t.Context(), e, messaging.Meta{}); err != nil && !resilience.IsPermanent(err) {
			t.Fatalf("comes again for ever: %v", err)
		}
	})
}

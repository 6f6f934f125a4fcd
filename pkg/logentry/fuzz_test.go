package logentry

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
)

// FuzzRead feeds arbitrary bytes: whatever comes has a kind or one of the two
// errors, and what an Event says is never an end without reason and time.
func FuzzRead(f *testing.F) {
	for _, entry := range fixtures(f) {
		f.Add(entry)
	}
	f.Add([]byte(fmt.Sprintf(witnessLine, `"job_event":{"job_id":"j","status_observed":{"state":3}}`)))
	f.Add([]byte(`{"textPayload":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Read(data)
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUndecodable) {
				t.Fatalf("error without a name: %v", err)
			}
			return
		}
		trust.Foreign(e)
		trust.Speaker(e)
		e.Vouches(&job.Kubernetes{Namespace: "etl", Name: "train", UID: "u"})
		switch e.Kind {
		case KindJobEvent:
			_, err = e.JobEvent()
		case KindPhaseEvent:
			_, err = e.PhaseEvent()
		default:
		}
		if err != nil && !errors.Is(err, ErrUndecodable) {
			t.Fatalf("error without a name: %v", err)
		}
		if e.Event != nil {
			checkStatement(t, e.Event)
		}
	})
}

func checkStatement(t *testing.T, e *Event) {
	t.Helper()
	s := e.Statement()
	if (s.Says == SaysNothing) != (s.Why != "") || s.Says != SaysNothing && s.At.IsZero() {
		t.Fatalf("statement %+v", s)
	}
	r := recordOf(job.StageEndsJob)
	o, ok := s.Claim(r)
	if !ok {
		return
	}
	if o.JobID != "j-42" || o.Attempt != 2 || o.Kubernetes.UID != fixtureUID || o.EventID == "" {
		t.Fatalf("claim about another job: %+v", o)
	}
	if job.Terminal(o.State) && o.Evidence != job.EvidenceCondition {
		t.Fatalf("an end without evidence: %+v", o)
	}
	r.Apply(&o)
}

// FuzzLine feeds arbitrary events of a line.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"event_id":"e","job_id":"j","attempt":1,"occurred_at":"2026-11-21T10:00:00Z","status_observed":{"state":"JOB_STATE_FAILED","evidence":6}}`))
	f.Add([]byte(`{"later":{}}`))
	f.Add([]byte(`{"name":"load-model","ended":{"outcome":"PHASE_OUTCOME_FAILED"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, kind := range []Kind{KindJobEvent, KindPhaseEvent} {
			e := &Entry{Kind: kind, Line: line}
			var event proto.Message
			var err error
			if kind == KindJobEvent {
				event, err = e.JobEvent()
			} else {
				event, err = e.PhaseEvent()
			}
			if err != nil {
				if !errors.Is(err, ErrUndecodable) {
					t.Fatalf("error without a name: %v", err)
				}
				continue
			}
			if _, err := proto.Marshal(event); err != nil {
				t.Fatalf("what was read cannot be sent on: %v", err)
			}
		}
	})
}

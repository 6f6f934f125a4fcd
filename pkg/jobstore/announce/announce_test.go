package announce_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const source = resiliencyv1.Source_SOURCE_STATUS_UPDATER

func status(state job.State, evidence job.Evidence, second int) *job.Observation {
	return &job.Observation{
		JobID: "j", Attempt: 1, OccurredAt: time.Date(2026, 11, 21, 10, 0, second, 0, time.UTC), Source: 1,
		Ordinal: 30, Stage: job.StageKubernetes, CorrelationID: "req-1",
		Kind: job.KindStatus, State: state, Evidence: evidence,
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	pending, running := status(job.StatePending, 0, 0), status(job.StateRunning, 0, 1)
	lost := status(job.StateFailed, job.EvidenceAbsence, 2)
	done := status(job.StateSucceeded, job.EvidenceCondition, 3)
	cases := []struct {
		name  string
		told  []*job.Observation
		next  *job.Observation
		types []string
	}{
		{"pending_is_not_told", nil, pending, nil},
		{"running", []*job.Observation{pending}, running, []string{"JobUpdate"}},
		{"end", []*job.Observation{pending, running}, done, []string{"JobUpdate"}},
		{"correction", []*job.Observation{running, lost}, done, []string{"JobUpdate", "PhaseEvent"}},
		{"reopened", []*job.Observation{lost}, status(job.StateRunning, 0, 4), []string{"JobUpdate", "PhaseEvent"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var before job.Record
			for _, o := range tc.told {
				before.Apply(o)
			}
			after := before
			after.Apply(tc.next)
			entries, err := announce.Changes(source)(&before, &after, 7)
			if err != nil || len(entries) != len(tc.types) {
				t.Fatalf("entries %+v, error %v; want %v", entries, err, tc.types)
			}
			again, _ := announce.Changes(source)(&before, &after, 7)
			other, _ := announce.Changes(source)(&before, &after, 8)
			for i, e := range entries {
				checkEntry(t, e, tc.types[i])
				if e.ID != again[i].ID || !bytes.Equal(e.Payload, again[i].Payload) {
					t.Errorf("the same change makes another entry: %+v, %+v", e, again[i])
				}
				if e.ID == other[i].ID {
					t.Errorf("revisions 7 and 8 share the id %s", e.ID)
				}
			}
		})
	}
}

func checkEntry(t *testing.T, e jobstore.Entry, want string) {
	t.Helper()
	types := map[string]struct {
		topic string
		msg   announce.Message
	}{
		"JobUpdate":  {topology.TopicJobUpdates, &resiliencyv1.JobUpdate{}},
		"PhaseEvent": {topology.TopicJobPhases, &resiliencyv1.PhaseEvent{}},
	}
	kind := types[want]
	if e.Type != "envision.resiliency.v1."+want || e.Topic != kind.topic {
		t.Errorf("entry of type %s for %s, want %s for %s", e.Type, e.Topic, want, kind.topic)
	}
	if err := proto.Unmarshal(e.Payload, kind.msg); err != nil {
		t.Fatal(err)
	}
	if e.ID == "" || kind.msg.GetEventId() != e.ID || e.Attributes["event_id"] != e.ID ||
		e.Attributes["job_id"] != "j" || e.Attributes["correlation_id"] != "req-1" || e.Attributes["type"] != e.Type {
		t.Errorf("entry %s carries event %s and %v", e.ID, kind.msg.GetEventId(), e.Attributes)
	}
}

func TestEntry_WhatCannotBeSentIsPermanent(t *testing.T) {
	t.Parallel()
	_, err := announce.Entry(&resiliencyv1.JobUpdate{EventId: "e", JobId: "\xff"})
	if !resilience.IsPermanent(err) {
		t.Errorf("error %v is %s", err, resilience.CategoryOf(err))
	}
}

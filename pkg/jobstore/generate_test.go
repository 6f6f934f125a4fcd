package jobstore

import (
	"time"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func drawTime(t *rapid.T, label string) time.Time {
	// Finer than what is kept, so that cutting is tested too.
	return epoch.Add(time.Duration(rapid.Int64Range(0, 3).Draw(t, label))*time.Second +
		time.Duration(rapid.SampledFrom([]int64{0, 1, 123_456_789}).Draw(t, label+"_fraction")))
}

func drawText(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "a", "b.c/`d\\e", "ü\n\"'"}).Draw(t, label)
}

func drawEnum[E ~int32](t *rapid.T, label string, names map[int32]string) E {
	return E(rapid.Int32Range(0, int32(len(names)-1)).Draw(t, label))
}

// drawObservation draws a claim about job "j" of any kind, with few values a
// field, so that ties happen.
func drawObservation(t *rapid.T) *job.Observation {
	o := &job.Observation{
		EventID: "e", JobID: "j", OccurredAt: drawTime(t, "occurred_at"),
		Attempt:       rapid.Int32Range(1, 2).Draw(t, "attempt"),
		Ordinal:       rapid.SampledFrom([]int32{0, 10, 30}).Draw(t, "ordinal"),
		Stage:         rapid.SampledFrom([]string{"", "backend", "kubernetes"}).Draw(t, "stage"),
		CorrelationID: drawText(t, "correlation_id"),
		Source:        drawEnum[job.Source](t, "source", resiliencyv1.Source_name),
		Owner:         drawText(t, "owner"), Tenant: drawText(t, "tenant"), OutputURI: drawText(t, "output_uri"),
		Kind:      job.Kind(rapid.IntRange(int(job.KindStatus), int(job.KindDelay)).Draw(t, "kind")),
		StageDone: rapid.Bool().Draw(t, "stage_done"),
		State:     drawEnum[job.State](t, "state", resiliencyv1.JobState_name),
		Evidence:  drawEnum[job.Evidence](t, "evidence", resiliencyv1.Evidence_name),
		LastState: drawEnum[job.State](t, "last_state", resiliencyv1.JobState_name),
		Delayed:   rapid.Bool().Draw(t, "delayed"), DelayReason: drawText(t, "delay_reason"),
		Generation: rapid.Int64Range(0, 2).Draw(t, "generation"), Detail: drawText(t, "detail"),
		Cause: job.CauseDetail{
			Cause:   drawEnum[job.Cause](t, "cause", resiliencyv1.Cause_name),
			Message: drawText(t, "message"), Reason: drawText(t, "reason"), Pod: drawText(t, "pod"),
			Container: drawText(t, "container"), Node: drawText(t, "node"),
		},
	}
	if rapid.Bool().Draw(t, "has_exit_code") {
		o.Cause.ExitCode = new(rapid.Int32Range(0, 1).Draw(t, "exit_code"))
	}
	if rapid.Bool().Draw(t, "in_kubernetes") {
		o.Kubernetes = job.Kubernetes{
			Cluster: "c", Namespace: "n", Name: "job", UID: rapid.SampledFrom([]string{"u1", "u2"}).Draw(t, "uid"),
			CreatedAt: drawTime(t, "created_at"),
			End:       job.StageEnd(rapid.IntRange(0, 2).Draw(t, "end")),
		}
	}
	return o
}

// drawRecord draws a record as claims make them, partial ones included.
func drawRecord(t *rapid.T, base job.Record) *job.Record {
	r := base
	for range rapid.IntRange(1, 5).Draw(t, "claims") {
		r.Apply(drawObservation(t))
	}
	return &r
}

package bench

import (
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// usualStory is what a usual job's record is told by two sources.
func usualStory() []job.Observation {
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	claim := func(s job.State, second int, e job.Evidence, source job.Source) job.Observation {
		return job.Observation{
			JobID: "j-17", Attempt: 1, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
			OccurredAt: created.Add(time.Duration(second) * time.Second), Source: source,
			CorrelationID: "request-17", Owner: "team", Tenant: "tenant", OutputURI: "gs://bucket/j-17/",
			Kubernetes: job.Kubernetes{Cluster: "c", Namespace: "n", Name: "j-17", UID: "0b6f3c9e-6f0e", CreatedAt: created},
			Kind:       job.KindStatus, State: s, Evidence: e, Generation: 1,
		}
	}
	watch, witness := resiliencyv1.Source_SOURCE_EVENT_STREAMER, resiliencyv1.Source_SOURCE_LOG_WITNESS
	return []job.Observation{
		claim(job.StatePending, 0, job.EvidenceNone, watch),
		claim(job.StatePending, 0, job.EvidenceNone, witness),
		claim(job.StateRunning, 1, job.EvidenceNone, witness),
		claim(job.StateRunning, 1, job.EvidenceNone, watch),
		claim(job.StateSucceeded, 9, job.EvidenceCondition, watch),
		claim(job.StateSucceeded, 9, job.EvidenceCondition, witness),
	}
}

// measureMerge takes the time of one claim of the usual story.
func measureMerge(r *Report) {
	story := usualStory()
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		var record job.Record
		for i := 0; b.Loop(); i++ {
			if i%len(story) == 0 {
				record = job.Record{}
			}
			record.Apply(&story[i%len(story)])
		}
	})
	r.add("merge_ns_op", "ns", float64(result.T.Nanoseconds())/float64(result.N))
	r.add("merge_allocs_op", "allocs", float64(result.AllocsPerOp()))
}

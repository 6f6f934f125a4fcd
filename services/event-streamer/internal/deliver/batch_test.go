package deliver

import (
	"slices"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestEntry_batch_putsClaimsFirst(t *testing.T) {
	t.Parallel()
	var e entry
	for _, f := range append(facts("p-1", "p-2", "p-3"), fact.From(&kube.Facts{
		Observations: []job.Observation{{EventID: "s-1", JobID: "j-1", Attempt: 1, Kind: job.KindStatus, State: resiliencyv1.JobState_JOB_STATE_RUNNING}},
	})...) {
		e.pending = append(e.pending, waiting{Fact: f})
	}
	for n, want := range map[int][]string{1: {"s-1"}, 2: {"s-1", "p-1"}, 9: {"s-1", "p-1", "p-2", "p-3"}} {
		var got []string
		batch, _ := e.batch(n, func(waiting) time.Duration { return 0 })
		for _, w := range batch {
			got = append(got, w.EventID())
		}
		if !slices.Equal(got, want) {
			t.Errorf("batch of %d: %v, want %v", n, got, want)
		}
	}
}

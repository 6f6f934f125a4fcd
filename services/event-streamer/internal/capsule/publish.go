package capsule

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// maxBatch is how many capsules are sent at once.
const maxBatch = 16

// publish sends what was taken until nothing more comes. Capsules do not go
// through the queue of facts: while Pub/Sub is down it holds thousands, and these
// are large. Here the pool fills up and then capsules are dropped.
func (p *Pool) publish(ctx context.Context) {
	for first := range p.taken {
		batch := []fact.Fact{first}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case f, open := <-p.taken:
				if more = open; open {
					batch = append(batch, f)
				}
			default:
				more = false
			}
		}
		p.send(ctx, batch)
	}
}

// send tries until all are confirmed or refused for good, or ctx ends.
func (p *Pool) send(ctx context.Context, batch []fact.Fact) {
	retry := resilience.Backoff{Initial: 500 * time.Millisecond, Max: 5 * time.Second}
	err := retry.Retry(ctx, func(ctx context.Context) error {
		var left []fact.Fact
		var failed error
		for i, err := range p.sender.Send(ctx, batch) {
			switch {
			case err == nil:
				p.confirmed(batch[i])
			case resilience.IsPermanent(err):
				p.metrics.result(resultRefused)
				p.log.Error().Err(err).Str("event_id", batch[i].EventID()).Str("job_id", batch[i].JobID()).
					Msg("a capsule was refused for good")
			default:
				left, failed = append(left, batch[i]), err
			}
		}
		batch = left
		if failed != nil {
			failed = resilience.Retryable(failed)
		}
		return failed
	})
	if err != nil {
		p.metrics.capsules.WithLabelValues(resultUnsent).Add(float64(len(batch)))
		p.log.Warn().Err(err).Int("capsules", len(batch)).
			Msg("stopped with unpublished capsules; the next leader takes those of the last minute again")
	}
}

func (p *Pool) confirmed(f fact.Fact) {
	result := resultComplete
	if e, ok := f.Message().(*resiliencyv1.PhaseEvent); ok {
		p.metrics.bytes.WithLabelValues(keptEvent).Observe(float64(proto.Size(e)))
		if e.GetFailureCaptured().GetIncomplete() != "" {
			result = resultIncomplete
		}
	}
	p.metrics.result(result)
}

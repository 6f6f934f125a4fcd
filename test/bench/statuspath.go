package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

// stepsOf is how many changes of state each of so many workers makes a round.
var stepsOf = map[int]int{16: 160, 64: 60}

// measureStatusPath takes the commits per second from the bytes of a message to
// the commit, every one a change of state, beside a RunTransaction loop and a
// bare commit with a precondition that write the same documents.
func measureStatusPath(ctx context.Context, s *stack.Stack, r *Report, out io.Writer) (err error) {
	p, err := s.NewProject(ctx, "bench")
	if err != nil {
		return err
	}
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	outbox := announce.Changes(resiliencyv1.Source_SOURCE_STATUS_UPDATER)
	path := &statusPath{client: client, store: jobstore.New(client, jobstore.WithWriter("bench"), jobstore.WithOutbox(outbox))}
	template, err := path.record(ctx)
	if err != nil {
		return err
	}
	for _, workers := range []int{16, 64} {
		fmt.Fprintf(out, "measuring the status path, %d at once (about 40 s)\n", workers)
		medians, err := race(ctx, []contender{
			{"store", path.round(workers, path.step)},
			{"transaction", path.round(workers, template.transaction)},
			{"bare", path.round(workers, template.bare(workers))},
		})
		if err != nil {
			return fmt.Errorf("measure the status path, %d at once: %w", workers, err)
		}
		r.addRatio(fmt.Sprintf("status_path_%d", workers), "commits/s", medians[0], medians[1])
		r.addRatio(fmt.Sprintf("status_path_%d_bare", workers), "commits/s", medians[0], medians[2])
	}
	return nil
}

type statusPath struct {
	client *firestore.Client
	store  *jobstore.Store
}

type stepFunc func(ctx context.Context, id string, step int) error

// round gives each worker a job of its own, new in every round.
func (p *statusPath) round(workers int, do stepFunc) func(context.Context, int) (int, error) {
	steps := stepsOf[workers]
	// Round ids are drawn here, so that no two contenders share a job.
	label := fmt.Sprintf("b%p-%d", &steps, workers)
	return func(ctx context.Context, round int) (int, error) {
		err := spread(ctx, workers, steps, func(ctx context.Context, worker, step int) error {
			return do(ctx, fmt.Sprintf("%s-%d-%d", label, round, worker), step)
		})
		return workers * steps, err
	}
}

// message is the wire form of step n: the job is suspended and resumed in turn.
func message(id string, step int) ([]byte, error) {
	o := usualStory()[2]
	o.JobID, o.OccurredAt = id, o.OccurredAt.Add(time.Duration(step)*time.Second)
	o.Generation = int64(step + 1)
	if step%2 == 1 {
		o.State = job.StateSuspended
	}
	return proto.Marshal(jobevent.Encode(&o))
}

// step is the product's path: bytes, message, claim, commit.
func (p *statusPath) step(ctx context.Context, id string, step int) error {
	data, err := message(id, step)
	if err != nil {
		return err
	}
	e := new(resiliencyv1.JobEvent)
	if err := proto.Unmarshal(data, e); err != nil {
		return err
	}
	o, err := jobevent.Decode(e, time.Now())
	if err != nil {
		return err
	}
	result, err := p.store.Apply(ctx, &o)
	if err == nil && !result.Outcome.Changed() {
		err = fmt.Errorf("step %d of job %s was %s: it measures nothing", step, id, result.Outcome)
	}
	return err
}

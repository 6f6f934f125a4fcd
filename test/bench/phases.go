package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

const (
	// storedPhases are written in one round of the store path, phasesPerJob of them
	// about one job.
	storedPhases, phasesPerJob = 20_000, 50
	// writersAtOnce is how many of the bare commits are on their way at once.
	writersAtOnce = 8
)

// measurePhases takes how fast phases are stored, and what it costs to look at
// jobs.
func measurePhases(ctx context.Context, s *stack.Stack, o Options, r *Report) error {
	if err := measurePhaseStore(ctx, s, o, r); err != nil {
		return fmt.Errorf("store of phases: %w", err)
	}
	if err := measurePhaseFlow(ctx, s, o, r); err != nil {
		return fmt.Errorf("flow of phases: %w", err)
	}
	if err := measureTimelines(ctx, s, o, r); err != nil {
		return fmt.Errorf("timelines: %w", err)
	}
	return nil
}

// somePhase is the nth phase of a round: what the SDK sends at the start of a phase.
func somePhase(round, n int) *resiliencyv1.PhaseEvent {
	return &resiliencyv1.PhaseEvent{
		EventId: fmt.Sprintf("%08x-0000-5000-8000-%04x%08x", n*2654435761%0xffffffff, round, n),
		JobId:   fmt.Sprintf("phased-%d-%d", round, n/phasesPerJob), Attempt: 1, Name: fmt.Sprintf("step-%d", n%phasesPerJob),
		OccurredAt: timestamppb.New(time.Now().Add(-time.Minute)), Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		CorrelationId: "req-1", Source: resiliencyv1.Source_SOURCE_SDK, Message: "a line for a person who reads the timeline",
		Details: map[string]string{"pod": "some-pod", "node": "some-node"},
		Event:   &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}},
	}
}

// measurePhaseStore races the store path, in which every phase has a caller of its
// own that waits for it, against bare commits of 500 prepared writes, 8 at once. Both
// write the same fields.
func measurePhaseStore(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	fmt.Fprintln(o.Out, "measuring the store of phases (about 1 min)")
	p, err := s.NewProject(ctx, "phases")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	medians, err := race(ctx, []contender{
		{"store path", func(ctx context.Context, round int) (int, error) { return storePhases(ctx, client, 2*round) }},
		{"bare", func(ctx context.Context, round int) (int, error) { return commitBare(ctx, client, 2*round+1) }},
	})
	if err != nil {
		return err
	}
	r.addRatio("phases_per_s", "phases/s", medians[0], medians[1])
	return nil
}

// storePhases has each phase prepared, gathered and committed, with as many callers
// at once as phase-tracer has messages in hand.
func storePhases(ctx context.Context, client *firestore.Client, round int) (int, error) {
	batcher := phases.NewBatcher(phases.New(client, time.Minute, nil), phases.BatcherConfig{}, nil)
	ctx, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer stop()
	writer.Go(func() { _ = batcher.Run(ctx) })
	const callers = 4000
	return storedPhases, spread(ctx, callers, storedPhases/callers, func(ctx context.Context, worker, step int) error {
		now := time.Now()
		told := phases.Told{ReceivedAt: now, ExpireAt: now.Add(time.Hour)}
		d, err := phases.OfPhase(somePhase(round, step*callers+worker), told)
		if err != nil {
			return err
		}
		return batcher.Add(ctx, d)
	})
}

// commitBare writes the same documents as fast as the client can: plain sets of
// fields that were prepared before.
func commitBare(ctx context.Context, client *firestore.Client, round int) (int, error) {
	docs := make([]*phases.Document, storedPhases)
	for n := range docs {
		now := time.Now()
		var err error
		docs[n], err = phases.OfPhase(somePhase(round, n), phases.Told{ReceivedAt: now, ExpireAt: now.Add(time.Hour)})
		if err != nil {
			return 0, err
		}
	}
	const steps = storedPhases / phases.MaxCommit / writersAtOnce
	return storedPhases, spread(ctx, writersAtOnce, steps, func(ctx context.Context, worker, step int) error {
		from := (worker*steps + step) * phases.MaxCommit
		batch := client.Batch() //nolint:staticcheck // what its successors cost is known: seven times as much
		for _, d := range docs[from : from+phases.MaxCommit] {
			batch.Set(client.Collection(jobstore.CollectionPhases(d.JobID)).Doc(d.ID), d.Fields())
		}
		_, err := batch.Commit(ctx)
		return err
	})
}

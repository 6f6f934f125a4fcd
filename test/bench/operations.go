package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

const (
	// operationsJobs and operationsPace are the load: Jobs, and how many are
	// created in a second.
	operationsJobs, operationsPace = 200, 10
	// operationsPatience bounds the wait for what is under way after the last Job.
	operationsPatience = 60 * time.Second
	// operationsQuiet is how long nothing must happen before the count ends: the
	// controller writes its Events one after another, well behind the Jobs, and
	// nothing tells which is the last.
	operationsQuiet = 5 * time.Second
)

// load is one kind of Jobs whose price is taken.
type load struct {
	// suffix is added to the names of the figures.
	suffix, what string
	scenarios    []drive.Scenario
}

// loads: the figures without a suffix are those of the plain Job, which is
// created, runs and succeeds: three states and two updates to its user are what
// any job costs at least. A failing one has a cause as well, which is to cost
// nothing more. The mix of the demo has also suspensions, each of which is two more
// states, in proportions of its own choosing.
func loads() []load {
	plain := stack.JobSpec{Outcome: stack.OutcomeSucceed}
	fails := stack.JobSpec{Outcome: stack.OutcomeExit, ExitCode: 3}
	return []load{
		{"", "plain Jobs", []drive.Scenario{{Name: "plain", Jobs: operationsJobs, Expected: drive.Succeeded, Spec: plain}}},
		{"_failing", "failing Jobs", []drive.Scenario{
			{Name: "failing", Jobs: operationsJobs, Expected: drive.Failed, Cause: "APP_EXIT", Spec: fails}}},
		{"_mix", "Jobs of the demo's mix", drive.Standard(operationsJobs)},
	}
}

// measureOperations counts what a job costs at Firestore and Pub/Sub, at the
// proxy before them, with both sources of facts on.
func measureOperations(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	p, err := s.NewProject(ctx, "ops")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	sink, err := p.StartProduct(ctx, o.BinDir, o.FilterFile)
	if err != nil {
		return err
	}
	for _, l := range loads() {
		fmt.Fprintf(o.Out, "measuring the operations of %d %s (about 35 s)\n", operationsJobs, l.what)
		counted, err := countOperations(ctx, s, p, sink, l)
		if err != nil {
			return fmt.Errorf("count the operations of %d %s: %w", operationsJobs, l.what, err)
		}
		counted.report(r, o.Out, l.suffix)
	}
	return nil
}

// countOperations plays a load and returns what it took.
func countOperations(ctx context.Context, s *stack.Stack, p *stack.Project, sink *stack.LogSink, l load) (*operations, error) {
	driver, err := drive.New(ctx, s.Kube(), drive.Plan{
		Namespace: p.Namespace, Prefix: "ops" + strings.ReplaceAll(l.suffix, "_", "-"),
		Scenarios: l.scenarios, PerSecond: operationsPace,
	})
	if err != nil {
		return nil, err
	}
	defer driver.Close()
	// What the start-up checks and the load before asked is none of these jobs'.
	s.Firestore.ResetCounts(p.ID)
	s.PubSub.ResetCounts(p.ID)
	if err := driver.Play(ctx); err != nil {
		return nil, err
	}
	counted, err := awaitQuiet(ctx, s, p, sink)
	if err != nil {
		return nil, err
	}
	// Only now: the check reads every record, through the same proxy.
	return counted, checkRecords(ctx, p, driver)
}

// checkRecords makes sure that the work was done whose price was counted.
func checkRecords(ctx context.Context, p *stack.Project, driver *drive.Driver) (err error) {
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	report, err := driver.Check(ctx, client)
	if err != nil {
		return err
	}
	if !report.Right() {
		return fmt.Errorf("what was counted is not what the Jobs need, as the records are not right: %s", report.Summary())
	}
	return nil
}

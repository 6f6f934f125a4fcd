package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

const (
	// fewRecords and manyRecords are how many jobs have a record, stuckRecords how
	// many of them are stuck, there and there.
	fewRecords, manyRecords, stuckRecords = 10_000, 100_000, 1000
	// recoveryRounds is how often the same jobs are judged: each time they are made
	// stuck anew.
	recoveryRounds = 3
)

// measureRecovery takes what a run of recovery-job costs among many records, most
// of which are nobody's business: it must follow what is stuck, not what exists.
func measureRecovery(ctx context.Context, s *stack.Stack, o Options, r *Report) error {
	few, err := recoverAmong(ctx, s, o, fewRecords)
	if err != nil {
		return fmt.Errorf("among %d records: %w", fewRecords, err)
	}
	many, err := recoverAmong(ctx, s, o, manyRecords)
	if err != nil {
		return fmt.Errorf("among %d records: %w", manyRecords, err)
	}
	r.add("recovery_reads_per_stuck", "documents", float64(many.reads)/stuckRecords)
	r.add("recovery_kubernetes_lists", "lists", float64(many.lists))
	r.addRatio("recovery_100k", "s", many.seconds, many.bare)
	r.addRatio("recovery_rss_100k_mib", "MiB", many.peakMiB, few.peakMiB)
	return nil
}

// recoveryCost is what one run took, or the median of several.
type recoveryCost struct {
	// reads are the documents read at Firestore, queries the queries among them.
	reads, queries int64
	// lists are whole namespaces asked for at the API server, asks single jobs.
	lists, asks   int64
	seconds, bare float64
	peakMiB       float64
}

// recoverAmong takes the median cost of runs among so many records.
func recoverAmong(ctx context.Context, s *stack.Stack, o Options, records int) (cost recoveryCost, err error) {
	fmt.Fprintf(o.Out, "storing %d job records, %d of them stuck\n", records, stuckRecords)
	p, err := s.NewProject(ctx, "recovery")
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	client, err := p.Firestore(ctx)
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	jobs, err := newStuckJobs(ctx, s, p)
	if err != nil {
		return cost, err
	}
	if err := jobs.fillOthers(ctx, client, records-stuckRecords); err != nil {
		return cost, err
	}
	runner, err := newRecoveryRunner(s, p, o.BinDir)
	if err != nil {
		return cost, err
	}
	defer runner.close()
	fmt.Fprintf(o.Out, "measuring recovery-job among %d records\n", records)
	var costs []recoveryCost
	for range recoveryRounds {
		one, err := recoverOnce(ctx, s, p, client, jobs, runner)
		if err != nil {
			return cost, err
		}
		fmt.Fprintf(o.Out, "  %.1f s (bare queries %.1f s), %d reads in %d queries, %d lists of the cluster and %d questions, %.0f MiB\n",
			one.seconds, one.bare, one.reads, one.queries, one.lists, one.asks, one.peakMiB)
		costs = append(costs, one)
	}
	return median(costs), nil
}

// recoverOnce makes the jobs stuck, reads the due records with Firestore's client
// alone, and makes a run.
func recoverOnce(
	ctx context.Context, s *stack.Stack, p *stack.Project, client *firestore.Client, jobs *stuckJobs, runner *recoveryRunner,
) (recoveryCost, error) {
	if err := jobs.stick(ctx, client); err != nil {
		return recoveryCost{}, err
	}
	bare, err := bareDue(ctx, client)
	if err != nil {
		return recoveryCost{}, err
	}
	s.Firestore.ResetCounts(p.ID)
	cost, err := runner.run(ctx)
	if err != nil {
		return recoveryCost{}, err
	}
	counts := s.Firestore.Counts(p.ID) // before the check reads every record
	cost.bare, cost.reads, cost.queries = bare, proxy.Total(counts.Reads), counts.Calls["RunQuery OK"]
	if written := counts.Writes["jobs"]; written != stuckRecords {
		return recoveryCost{}, fmt.Errorf("the run wrote %d records instead of %d; log: %s", written, stuckRecords, runner.log)
	}
	if cost.lists != 1 {
		return recoveryCost{}, fmt.Errorf("the run listed the namespace's Jobs %d times instead of once", cost.lists)
	}
	return cost, jobs.check(ctx, client)
}

// median takes each figure's own.
func median(costs []recoveryCost) recoveryCost {
	return recoveryCost{
		reads:   middle(costs, func(c recoveryCost) int64 { return c.reads }),
		queries: middle(costs, func(c recoveryCost) int64 { return c.queries }),
		lists:   middle(costs, func(c recoveryCost) int64 { return c.lists }),
		asks:    middle(costs, func(c recoveryCost) int64 { return c.asks }),
		seconds: middle(costs, func(c recoveryCost) float64 { return c.seconds }),
		bare:    middle(costs, func(c recoveryCost) float64 { return c.bare }),
		peakMiB: middle(costs, func(c recoveryCost) float64 { return c.peakMiB }),
	}
}

func middle[N int64 | float64](costs []recoveryCost, figure func(recoveryCost) N) N {
	figures := make([]N, len(costs))
	for i, c := range costs {
		figures[i] = figure(c)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

package app

import (
	"context"
	"sync/atomic"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/services/recovery-job/internal/cluster"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/run"
)

// listFrom is how many questions to the cluster one by one are followed by one
// list of all that it has: a list costs the API server less than many questions,
// and more than a few.
const listFrom = 20

// probes answers what verdicts need.
type probes struct {
	cluster clusterProber
	output  outputProber
	records phaseReader

	asked atomic.Int64
	// prepare makes the list, unless there is one; see during.
	prepare func()
}

type clusterProber interface {
	Prepare(ctx context.Context, questions int)
	Cluster(ctx context.Context, q judge.ClusterQuery) judge.Cluster
}

type outputProber interface {
	Output(ctx context.Context, q judge.OutputQuery) judge.Output
}

type phaseReader interface {
	NewestPhase(ctx context.Context, jobID string) (phase jobstore.Phase, found bool, err error)
}

var _ judge.Probes = (*probes)(nil)

// during gives the list the time of the whole run: it answers all questions that
// come later, so it must not end with the one that happens to set it off.
func (p *probes) during(ctx context.Context) *probes {
	p.prepare = func() { p.cluster.Prepare(ctx, listFrom) }
	return p
}

// Cluster implements judge.Probes.
func (p *probes) Cluster(ctx context.Context, q judge.ClusterQuery) judge.Cluster {
	if !q.Live && p.asked.Add(1) > listFrom {
		p.prepare()
	}
	return p.cluster.Cluster(ctx, q)
}

// Output implements judge.Probes.
func (p *probes) Output(ctx context.Context, q judge.OutputQuery) judge.Output {
	return p.output.Output(ctx, q)
}

// Phase implements judge.Probes.
func (p *probes) Phase(ctx context.Context, q judge.PhaseQuery) judge.Phase {
	phase, found, err := p.records.NewestPhase(ctx, q.JobID)
	switch {
	case err != nil:
		return judge.Phase{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: err.Error()}}
	case !found:
		return judge.Phase{Probe: judge.Answered}
	default:
		return judge.Phase{Probe: judge.Answered, At: phase.At, Name: phase.Name}
	}
}

// noBucket answers when there is no way to Cloud Storage at all.
type noBucket struct{ err error }

// Output implements outputProber.
func (n noBucket) Output(context.Context, judge.OutputQuery) judge.Output {
	return judge.Output{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: n.err.Error()}}
}

// labelled lists what the cluster has for package run.
type labelled struct{ prober *cluster.Prober }

// Labelled implements run.Cluster.
func (l labelled) Labelled(ctx context.Context, fn func(run.Labelled)) error {
	//nolint:wrapcheck // it names the namespace
	return l.prober.Labelled(ctx, func(found cluster.Labelled) {
		fn(run.Labelled{JobID: found.JobID, CreatedAt: found.CreatedAt, Claims: found.Claims})
	})
}

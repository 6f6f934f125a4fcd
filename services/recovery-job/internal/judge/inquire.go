package judge

import (
	"context"
	"fmt"
)

// Probes answer what a verdict needs. They never return an error: a question
// without an answer is an answer that says Failed, so that it cannot be mixed up
// with 'nothing is there'. A probe keeps its own deadline.
type Probes interface {
	Cluster(ctx context.Context, q ClusterQuery) Cluster
	Output(ctx context.Context, q OutputQuery) Output
	Phase(ctx context.Context, q PhaseQuery) Phase
}

// maxQuestions is more than any verdict needs: list, live, output, phase.
const maxQuestions = 6

// Inquire judges a job and asks what the verdict needs, until there is one. The
// answers stay in e.
func (j *Judge) Inquire(ctx context.Context, p Probes, e *Evidence) Verdict {
	var v Verdict
	for range maxQuestions {
		if v = j.Judge(e); v.Action != ActionAsk {
			return v
		}
		switch v.Need {
		case NeedCluster, NeedClusterLive:
			e.Cluster = p.Cluster(ctx, j.ClusterQuery(e, v.Need == NeedClusterLive))
		case NeedOutput:
			e.Output = p.Output(ctx, j.OutputQuery(e))
		case NeedPhase:
			e.Phase = p.Phase(ctx, PhaseQuery{JobID: e.Record.JobID})
		}
	}
	return v.cannot(ReasonUnanswered, fmt.Sprintf("the question for %s was left open", v.Need))
}

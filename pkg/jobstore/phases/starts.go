package phases

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// maxStarts is how many starts of one name are looked through.
const maxStarts = 20

// Started finds when the phase began that an event ends: the latest start of its
// attempt, stage, name and sequence. It costs a read for each start of that name, at
// most twenty, or one; of a name that a job used more often, the start may not be
// found.
func (s *Store) Started(ctx context.Context, end *resiliencyv1.PhaseEvent) (at time.Time, found bool, err error) {
	if err := job.CheckID(end.GetJobId()); err != nil {
		return time.Time{}, false, resilience.Permanent(fmt.Errorf("find a start: %w", err))
	}
	docs, err := s.calls.Documents(ctx, s.db.Collection(jobstore.CollectionPhases(end.GetJobId())).
		Where(fieldKind, "==", KindStarted).Where(jobstore.PhaseFieldName, "==", job.Cut(end.GetName(), maxPhaseName)).Limit(maxStarts))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find the start of phase %s of job %s: %w", job.Cut(end.GetName(), 64), end.GetJobId(), err)
	}
	for _, doc := range docs {
		one, err := decode(doc.Ref.ID, doc.Data())
		if err != nil || one.Phase == nil {
			continue
		}
		p := one.Phase
		begun := p.GetOccurredAt().AsTime()
		if p.GetAttempt() == end.GetAttempt() && p.GetStage().GetName() == end.GetStage().GetName() &&
			p.GetSequence() == end.GetSequence() && (!found || begun.After(at)) {
			at, found = begun, true
		}
	}
	return at, found, nil
}

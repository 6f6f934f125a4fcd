package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// CollectionPhases is where the phases of a job are, each under its event id.
func CollectionPhases(jobID string) string { return collectionJobs + "/" + jobID + "/phases" }

// Fields of a phase that queries go by: whoever stores phases writes them.
const (
	// PhaseFieldOccurredAt is when the step happened, a timestamp.
	PhaseFieldOccurredAt = "occurred_at"
	// PhaseFieldSource is who reports it, by job.SourceName.
	PhaseFieldSource = "source"
	// PhaseFieldName is its name.
	PhaseFieldName = "name"
)

// Phase is one step that a job passed, as far as recovery needs it.
type Phase struct {
	// At is when it happened.
	At   time.Time
	Name string
}

// NewestPhase returns the newest phase that the job itself or a watcher has
// reported. What recovery-job and dlq-handler noted about it is no sign of life
// and does not count. found is false, without an error, when there is none. It
// costs one read.
func (s *Store) NewestPhase(ctx context.Context, jobID string) (phase Phase, found bool, err error) {
	if err := checkJobID(jobID); err != nil {
		return Phase{}, false, err
	}
	docs, err := s.db.query(ctx, &query{
		collection: CollectionPhases(jobID), orderBy: PhaseFieldOccurredAt, descending: true, limit: 1,
		where: []condition{{PhaseFieldSource, "in", signsOfLife()}},
	})
	if err != nil {
		return Phase{}, false, fmt.Errorf("read the newest phase of job %s: %w", jobID, err)
	}
	if len(docs) == 0 {
		return Phase{}, false, nil
	}
	r := &reader{fields: docs[0].fields}
	phase = Phase{At: r.time(PhaseFieldOccurredAt), Name: r.str(PhaseFieldName)}
	if err := r.err(); err != nil {
		return Phase{}, false, fmt.Errorf("read phase %s of job %s: %w", docs[0].id, jobID, err)
	}
	return phase, true, nil
}

// signsOfLife are the names of the sources that speak from the job or its
// cluster.
func signsOfLife() []any {
	return []any{
		job.SourceName(resiliencyv1.Source_SOURCE_SDK),
		job.SourceName(resiliencyv1.Source_SOURCE_EVENT_STREAMER),
		job.SourceName(resiliencyv1.Source_SOURCE_LOG_WITNESS),
		job.SourceName(resiliencyv1.Source_SOURCE_KUBERNETES_EVENT),
	}
}

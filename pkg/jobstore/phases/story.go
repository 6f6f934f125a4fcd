package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Story is what is stored of a job, oldest first.
type Story struct {
	Stored []Stored
	// Total is how many documents there are; more than Stored where these are too
	// many to read at once.
	Total int
	// OlderProgress is how many of them only tell how far a phase was, and were not
	// read: newer ones tell how far it is.
	OlderProgress int
	// Unreadable are the ids of documents that this release cannot read.
	Unreadable []string
}

// progressShare is which part of what may be read of a job, one in so many, is for
// progress.
const progressShare = 10

// storyKinds are all kinds but progress, which is read apart: a phase tells of it every
// second, and would crowd out its own start.
func storyKinds() []Kind {
	return []Kind{
		KindStarted, KindEnded, KindFailed, KindNoted, KindCorrected, KindCaptured, KindJudged, KindDeadLettered, KindUpdate, KindUnknown,
	}
}

// telling are the kinds that are read however old they are.
func telling() []Kind {
	return []Kind{KindFailed, KindCorrected, KindCaptured, KindJudged, KindDeadLettered, KindUpdate}
}

// Read returns the phases and updates of a job: the newest limit, limit/10 reports of
// progress beside them and, where there are more, of the older ones up to limit/4 that
// tell of a failure, a decision or an update. It costs a read for each document
// returned, and one more for each thousand that there are.
func (s *Store) Read(ctx context.Context, jobID string, limit int) (Story, error) {
	if err := job.CheckID(jobID); err != nil {
		return Story{}, resilience.Permanent(fmt.Errorf("read phases: %w", err))
	}
	all := s.db.Collection(jobstore.CollectionPhases(jobID))
	var steps, progress, older part
	var total, told int
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		if steps, total, err = s.newest(ctx, all.Where(fieldKind, "in", storyKinds()), limit); err != nil || total <= steps.documents {
			return err
		}
		older, err = s.older(ctx, all, steps.last.At, max(limit/4, 1))
		return err
	})
	both.Go(func() (err error) {
		progress, told, err = s.newest(ctx, all.Where(fieldKind, "==", KindProgressed), max(limit/progressShare, 1))
		return err
	})
	if err := both.Wait(); err != nil {
		return Story{}, fmt.Errorf("read phases of job %s: %w", jobID, err)
	}
	story := Story{
		Stored: slices.Concat(older.stored, steps.stored, progress.stored), Total: total + told, OlderProgress: told - progress.documents,
		Unreadable: slices.Concat(older.unreadable, steps.unreadable, progress.unreadable),
	}
	slices.SortFunc(story.Stored, func(a, b Stored) int {
		if c := a.occurredAt().Compare(b.occurredAt()); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return story, nil
}

// newest reads the newest documents that a query chooses, and says how many it chooses
// in all: it counts them where it may not have read all.
func (s *Store) newest(ctx context.Context, query firestore.Query, limit int) (p part, total int, err error) {
	p, err = s.part(ctx, query.OrderBy(jobstore.PhaseFieldOccurredAt, firestore.Desc).Limit(limit).Select(needed()...), limit)
	if err != nil || !p.cut && p.documents < limit {
		return p, p.documents, err
	}
	count, err := s.calls.Count(ctx, query)
	return p, max(int(count), p.documents), err //nolint:wrapcheck // the caller says of which job
}

// older reads what matters of the documents that are older than oldest.
func (s *Store) older(ctx context.Context, all *firestore.CollectionRef, oldest time.Time, limit int) (part, error) {
	return s.part(ctx, all.
		Where(fieldKind, "in", telling()).
		Where(jobstore.PhaseFieldOccurredAt, "<", oldest).
		OrderBy(jobstore.PhaseFieldOccurredAt, firestore.Desc).Limit(limit).Select(needed()...), limit)
}

func (s *Stored) occurredAt() time.Time {
	if s.Update != nil {
		return s.Update.GetOccurredAt().AsTime()
	}
	return s.Phase.GetOccurredAt().AsTime()
}

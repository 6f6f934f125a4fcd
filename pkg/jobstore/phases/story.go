package phases

import (
	"context"
	"fmt"
	"slices"

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

// storyKinds are all kinds but progress, of which the newest is enough: a phase tells of
// it every second, and would crowd out its own start.
func storyKinds() []Kind {
	return []Kind{
		KindStarted, KindEnded, KindFailed, KindNoted, KindCorrected, KindCaptured, KindJudged, KindDeadLettered, KindUpdate, KindUnknown,
	}
}

// telling are the kinds that are read however old they are.
func telling() []Kind {
	return []Kind{KindFailed, KindCorrected, KindCaptured, KindJudged, KindDeadLettered, KindUpdate}
}

// Read returns the phases and updates of a job: the newest three tenths of limit; where
// there are more, those before that are no progress, until limit are no progress; and of
// still older ones up to limit/4 that tell of a failure, a decision or an update. It
// costs a read for each document returned and, where not all are, two for each thousand
// that there are.
func (s *Store) Read(ctx context.Context, jobID string, limit int) (Story, error) {
	if err := job.CheckID(jobID); err != nil {
		return Story{}, resilience.Permanent(fmt.Errorf("read phases: %w", err))
	}
	all := s.db.Collection(jobstore.CollectionPhases(jobID))
	newest, err := s.backwards(ctx, all.Query, nil, max(limit*3/10, 1))
	if err != nil {
		return Story{}, fmt.Errorf("read phases of job %s: %w", jobID, err)
	}
	story := Story{Stored: newest.stored, Unreadable: newest.unreadable, Total: newest.documents}
	if newest.cut {
		if err := s.earlier(ctx, all, &story, &newest, limit); err != nil {
			return Story{}, fmt.Errorf("read phases of job %s: %w", jobID, err)
		}
	}
	slices.Reverse(story.Stored)
	slices.Reverse(story.Unreadable)
	return story, nil
}

// earlier adds to a story what lies before the newest, and counts all that there is.
func (s *Store) earlier(ctx context.Context, all *firestore.CollectionRef, story *Story, newest *part, limit int) error {
	told := 0
	for i := range newest.stored {
		if newest.stored[i].Kind == KindProgressed {
			told++
		}
	}
	var steps, older part
	var total, progress int64
	at, ctx := errgroup.WithContext(ctx)
	at.Go(func() (err error) {
		steps, err = s.backwards(ctx, all.Where(fieldKind, "in", storyKinds()), &newest.last, max(limit-newest.documents+told, 1))
		if err == nil && steps.cut {
			older, err = s.backwards(ctx, all.Where(fieldKind, "in", telling()), &steps.last, max(limit/4, 1))
		}
		return err
	})
	at.Go(func() (err error) {
		total, err = s.calls.Count(ctx, all.Query)
		return err //nolint:wrapcheck // Read says of which job
	})
	at.Go(func() (err error) {
		progress, err = s.calls.Count(ctx, all.Where(fieldKind, "==", KindProgressed))
		return err //nolint:wrapcheck // Read says of which job
	})
	if err := at.Wait(); err != nil {
		return err //nolint:wrapcheck // Read says of which job
	}
	story.Stored = slices.Concat(story.Stored, steps.stored, older.stored)
	story.Unreadable = slices.Concat(story.Unreadable, steps.unreadable, older.unreadable)
	story.Total, story.OlderProgress = int(total), max(int(progress)-told, 0)
	return nil
}

// backwards reads the newest documents that a query chooses, before a place if there is
// one. It is cut where there may be more.
func (s *Store) backwards(ctx context.Context, query firestore.Query, before *Cursor, limit int) (part, error) {
	query = query.OrderBy(jobstore.PhaseFieldOccurredAt, firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc)
	if before != nil {
		query = query.StartAfter(before.At, before.ID)
	}
	p, err := s.part(ctx, query.Limit(limit).Select(needed()...), limit)
	p.cut = p.cut || p.documents == limit
	return p, err
}

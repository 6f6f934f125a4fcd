package letters

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// audited adds an entry of the audit log to a commit.
func (s *Store) audited(a *Audit) func(*writeBatch) {
	a.Who, a.Reason, a.Outcome = job.Cut(a.Who, 256), job.Cut(a.Reason, job.MaxMessageBytes), job.Cut(a.Outcome, job.MaxMessageBytes)
	return func(b *writeBatch) { b.Set(s.db.Collection(collectionAudit).Doc(a.ID), a) }
}

// ListAudit returns up to limit entries of the audit log, newest first.
func (s *Store) ListAudit(ctx context.Context, f AuditFilter, after *Cursor, limit int) (AuditPage, error) {
	if limit < 1 || limit > MaxPage {
		return AuditPage{}, fmt.Errorf("list the audit log: %w: a page has 1 to %d entries, not %d", ErrFilter, MaxPage, limit)
	}
	query := s.db.Collection(collectionAudit).Query
	if f.Target != "" {
		query = query.Where("target", "==", f.Target)
	}
	if f.Who != "" {
		query = query.Where("who", "==", f.Who)
	}
	docs, next, err := s.page(ctx, query, "at", after, limit)
	if err != nil {
		return AuditPage{}, fmt.Errorf("list the audit log: %w", err)
	}
	page := AuditPage{Entries: make([]Audit, len(docs)), Next: next}
	for i, doc := range docs {
		if err := doc.DataTo(&page.Entries[i]); err != nil {
			return AuditPage{}, resilience.Permanent(fmt.Errorf("decode audit entry %s: %w", doc.Ref.ID, err))
		}
		page.Entries[i].ID = doc.Ref.ID
	}
	return page, nil
}

func asTime(v any) (time.Time, error) {
	t, ok := v.(time.Time)
	if !ok {
		return time.Time{}, resilience.Permanent(fmt.Errorf("read a time: it is a %T", v))
	}
	return t, nil
}

// outcomeSent is the outcome of a replay that Pub/Sub has confirmed.
const outcomeSent = "sent"

// CountSent returns how many letters an operation has sent, by the audit log: it
// is right whatever became of the process that sent them.
func (s *Store) CountSent(ctx context.Context, operationID string) (int64, error) {
	n, err := s.calls.Count(ctx, s.db.Collection(collectionAudit).
		Where("operation", "==", operationID).Where("outcome", "==", outcomeSent))
	if err != nil {
		return 0, fmt.Errorf("count what operation %s has sent: %w", operationID, err)
	}
	return n, nil
}

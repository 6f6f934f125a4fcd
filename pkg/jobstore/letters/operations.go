package letters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// StartOperation stores an operation, to be run by whichever process takes it
// first. Of what is given Filter, Rate, Limit, By, Reason and Matched count.
func (s *Store) StartOperation(ctx context.Context, o Operation) (Operation, error) {
	now := s.now()
	o = Operation{
		ID: uuid.NewString(), State: OperationRunning,
		Filter: o.Filter, Rate: o.Rate, Limit: o.Limit, Matched: o.Matched,
		By: job.Cut(o.By, 256), Reason: job.Cut(o.Reason, job.MaxMessageBytes), CreatedAt: now, UpdatedAt: now,
	}
	o.Filter.State = StateOpen
	if o.Filter.To.IsZero() || o.Filter.To.After(now) {
		o.Filter.To = now
	}
	batch := s.batch().Create(s.db.Collection(collectionOperations).Doc(o.ID), o)
	s.audited(operationAudit(&o, ActionStartOperation, o.By, o.Reason, now))(batch)
	at, err := s.commit(ctx, batch)
	if err != nil {
		return Operation{}, fmt.Errorf("start operation %s: %w", o.ID, err)
	}
	o.UpdateTime = at
	return o, nil
}

// GetOperation reads an operation. Errors wrap ErrNotFound.
func (s *Store) GetOperation(ctx context.Context, id string) (Operation, error) {
	o, err := s.getOperation(ctx, id)
	if err != nil {
		return Operation{}, fmt.Errorf("read operation %s: %w", id, err)
	}
	return o, nil
}

func (s *Store) getOperation(ctx context.Context, id string) (Operation, error) {
	var o Operation
	snap, err := s.read(ctx, collectionOperations, id, &o)
	if err != nil {
		return Operation{}, err
	}
	o.ID, o.UpdateTime = snap.Ref.ID, snap.UpdateTime
	return o, nil
}

// ListOperations returns up to limit operations, newest first.
func (s *Store) ListOperations(ctx context.Context, after *Cursor, limit int) (OperationPage, error) {
	if limit < 1 || limit > MaxPage {
		return OperationPage{}, fmt.Errorf("list operations: %w: a page has 1 to %d operations, not %d", ErrFilter, MaxPage, limit)
	}
	docs, next, err := s.page(ctx, s.db.Collection(collectionOperations).Query, "created_at", after, limit)
	if err != nil {
		return OperationPage{}, fmt.Errorf("list operations: %w", err)
	}
	operations, err := decodeOperations(docs)
	return OperationPage{Operations: operations, Next: next}, err
}

// TakeOperation gives the caller the lease of an operation that runs and that
// nobody holds; ok is false when there is none.
func (s *Store) TakeOperation(ctx context.Context, owner string, lease time.Duration) (o Operation, ok bool, err error) {
	const some = 20 // that run at once; the others wait for the next look
	docs, err := s.calls.Documents(ctx, s.db.Collection(collectionOperations).Where("state", "==", OperationRunning).Limit(some))
	if err != nil {
		return Operation{}, false, fmt.Errorf("look for operations: %w", err)
	}
	operations, err := decodeOperations(docs)
	if err != nil {
		return Operation{}, false, err
	}
	for i := range operations {
		o := &operations[i]
		now := s.now()
		if o.LeaseOwner != owner && now.Before(o.LeaseUntil) {
			continue
		}
		o.LeaseOwner, o.LeaseUntil = owner, now.Add(lease)
		err := s.saveOperation(ctx, o, nil)
		if errors.Is(err, jobstore.ErrConflict) {
			continue // somebody else took it
		}
		if err != nil {
			return Operation{}, false, fmt.Errorf("take operation %s: %w", o.ID, err)
		}
		return *o, true, nil
	}
	return Operation{}, false, nil
}

// SaveOperation stores the progress of an operation that the caller holds, and
// extends its lease. The error wraps ErrState when it is no longer the caller's:
// it was cancelled, or taken over.
func (s *Store) SaveOperation(ctx context.Context, o *Operation, lease time.Duration) error {
	now := s.now()
	o.UpdatedAt, o.LeaseUntil = now, now.Add(lease)
	if o.State != OperationRunning {
		o.FinishedAt, o.ExpiresAt, o.LeaseOwner, o.LeaseUntil = now, now.Add(KeepOperations), "", time.Time{}
	}
	err := s.saveOperation(ctx, o, nil)
	if errors.Is(err, jobstore.ErrConflict) {
		err = fmt.Errorf("%w: somebody else has changed it", ErrState)
	}
	if err != nil {
		return fmt.Errorf("save operation %s: %w", o.ID, err)
	}
	return nil
}

// CancelOperation ends an operation; what it has sent stays sent. The error
// wraps ErrState when it has ended before.
func (s *Store) CancelOperation(ctx context.Context, id, by, reason string) (Operation, error) {
	for range maxTries {
		o, err := s.getOperation(ctx, id)
		if err != nil {
			return Operation{}, fmt.Errorf("cancel operation %s: %w", id, err)
		}
		if o.State != OperationRunning {
			return o, fmt.Errorf("cancel operation %s: %w: it is %s", id, ErrState, o.State)
		}
		now := s.now()
		o.State, o.UpdatedAt, o.FinishedAt, o.ExpiresAt = OperationCancelled, now, now, now.Add(KeepOperations)
		o.LeaseOwner, o.LeaseUntil = "", time.Time{}
		err = s.saveOperation(ctx, &o, s.audited(operationAudit(&o, ActionCancelOperation, by, reason, now)))
		if err == nil {
			return o, nil
		}
		if !errors.Is(err, jobstore.ErrConflict) {
			return o, fmt.Errorf("cancel operation %s: %w", id, err)
		}
	}
	return Operation{}, resilience.Retryable(fmt.Errorf("cancel operation %s: %w", id, ErrContended))
}

// saveOperation replaces the document, unless it changed since it was read.
func (s *Store) saveOperation(ctx context.Context, o *Operation, more func(*writeBatch)) error {
	ref, err := s.ref(collectionOperations, o.ID)
	if err != nil {
		return err
	}
	set := func(path string, value any) firestore.Update { return firestore.Update{Path: path, Value: value} }
	updates := []firestore.Update{
		set("state", o.State), set("updated_at", o.UpdatedAt), set("matched", o.Matched),
		set("replayed", o.Replayed), set("skipped", o.Skipped), set("failed", o.Failed),
		set("last_error", o.LastError), set("cursor", o.Cursor),
		set("lease_owner", o.LeaseOwner), set("lease_until", o.LeaseUntil),
	}
	if !o.FinishedAt.IsZero() {
		updates = append(updates, set("finished_at", o.FinishedAt), set("expires_at", o.ExpiresAt))
	}
	batch := s.batch().Update(ref, updates, firestore.LastUpdateTime(o.UpdateTime))
	if more != nil {
		more(batch)
	}
	at, err := s.commit(ctx, batch)
	if err == nil {
		o.UpdateTime = at
	}
	return err
}

func decodeOperations(docs []*firestore.DocumentSnapshot) ([]Operation, error) {
	out := make([]Operation, len(docs))
	for i, doc := range docs {
		if err := doc.DataTo(&out[i]); err != nil {
			return nil, resilience.Permanent(fmt.Errorf("decode operation %s: %w", doc.Ref.ID, err))
		}
		out[i].ID, out[i].UpdateTime = doc.Ref.ID, doc.UpdateTime
	}
	return out, nil
}

func operationAudit(o *Operation, action, by, reason string, now time.Time) *Audit {
	return &Audit{
		ID: job.EventID("audit", o.ID, action), At: now, Who: by, Action: action, Target: o.ID,
		Operation: o.ID, Reason: reason, Outcome: string(o.State),
	}
}

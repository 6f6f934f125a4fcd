package letters

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// AuditBegun is the outcome of an action whose end is not known yet.
const AuditBegun = "begun"

// Claim takes a letter for one replay: it must be open, discarded, or in the
// hands of a replay that was lost. The error wraps ErrState when it is not, and
// the letter comes as it is.
func (s *Store) Claim(ctx context.Context, id string, by Claim, reason string) (Letter, error) {
	l, err := s.change(ctx, id, func(l *Letter) (func(*writeBatch), error) {
		now := s.now()
		switch {
		case l.State == StateOpen, l.State == StateDiscarded && by.Operation == "" && !by.Auto:
		case l.State == StateReplaying && now.After(l.Claim.Until):
			l.note(now, EventReplayLost, l.Claim.By, "it did not say in time whether the letter was sent")
		default:
			return nil, fmt.Errorf("%w: it is %s", ErrState, l.State)
		}
		l.claim(by, reason, now, s.cfg.Claim)
		l.ClosedAt, l.ExpiresAt = time.Time{}, time.Time{}
		return s.audited(replayAudit(l, reason, AuditBegun)), nil
	})
	if err != nil {
		return l, fmt.Errorf("claim letter %s: %w", id, err)
	}
	return l, nil
}

// Confirm says that the letter that was claimed has been sent. If it has died
// again meanwhile it stays open. It returns the letter since.
func (s *Store) Confirm(ctx context.Context, claimed *Letter) (Letter, error) {
	reason := claimReason(claimed)
	l, err := s.changeFrom(ctx, claimed, func(l *Letter) (func(*writeBatch), error) {
		if l.Replays != claimed.Replays {
			return nil, ErrState // somebody else has claimed it since
		}
		now := s.now()
		if l.State == StateReplaying {
			l.close(StateReplayed, now)
		}
		l.note(now, EventReplayed, l.Claim.By, "replay "+strconv.FormatInt(l.Replays, 10))
		return s.audited(replayAudit(l, reason, outcomeSent)), nil
	})
	if err != nil {
		return l, fmt.Errorf("confirm replay %d of letter %s: %w", claimed.Replays, claimed.ID, err)
	}
	return l, nil
}

// Release gives a claimed letter back because it could not be sent: it is open
// again and says why. counts says that the fault is the letter's own; where it is
// not, an automatic replay does not count as one, or an outage would use them up.
func (s *Store) Release(ctx context.Context, claimed *Letter, why string, counts bool) (Letter, error) {
	reason := claimReason(claimed)
	l, err := s.changeFrom(ctx, claimed, func(l *Letter) (func(*writeBatch), error) {
		if l.State != StateReplaying || l.Replays != claimed.Replays {
			return nil, ErrState
		}
		l.release(why, counts, s.now())
		return s.audited(replayAudit(l, reason, "not sent: "+why)), nil
	})
	if err != nil {
		return l, fmt.Errorf("give letter %s back: %w", claimed.ID, err)
	}
	return l, nil
}

// ReleaseLost opens a letter whose replay was lost: the process ended between
// claim and confirmation, so it may have been sent. now must be past its claim,
// unless the caller knows that the holder is gone.
func (s *Store) ReleaseLost(ctx context.Context, l *Letter, holderGone bool) (Letter, error) {
	number := l.Replays
	out, err := s.change(ctx, l.ID, func(l *Letter) (func(*writeBatch), error) {
		now := s.now()
		if l.State != StateReplaying || l.Replays != number || !holderGone && !now.After(l.Claim.Until) {
			return nil, ErrState
		}
		const why = "the replay was interrupted; the letter may or may not have been sent"
		l.State, l.LastError = StateOpen, why
		l.note(now, EventReplayLost, l.Claim.By, why)
		return s.audited(replayAudit(l, claimReason(l), "interrupted")), nil
	})
	if err != nil {
		return out, fmt.Errorf("give lost letter %s back: %w", l.ID, err)
	}
	return out, nil
}

// Discard closes an open letter for good, with a reason. The error wraps
// ErrState when it is not open.
func (s *Store) Discard(ctx context.Context, id, by, reason string) (Letter, error) {
	l, err := s.change(ctx, id, func(l *Letter) (func(*writeBatch), error) {
		if l.State != StateOpen {
			return nil, fmt.Errorf("%w: it is %s", ErrState, l.State)
		}
		now := s.now()
		l.close(StateDiscarded, now)
		l.note(now, EventDiscarded, by, reason)
		return s.audited(&Audit{
			ID: job.EventID("audit", l.ID, ActionDiscard, job.TimePart(now)), At: now, Who: by,
			Action: ActionDiscard, Target: l.ID, Reason: reason, Outcome: "discarded",
		}), nil
	})
	if err != nil {
		return l, fmt.Errorf("discard letter %s: %w", id, err)
	}
	return l, nil
}

// Finish takes steps off a letter that Put has returned, and stores what was done
// for the job if cleanup is not nil. tenant completes a letter that knows none.
func (s *Store) Finish(ctx context.Context, stored *Letter, done []Step, cleanup *Cleanup, tenant string) error {
	_, err := s.changeFrom(ctx, stored, func(l *Letter) (func(*writeBatch), error) {
		l.Pending = slices.DeleteFunc(l.Pending, func(step Step) bool { return slices.Contains(done, step) })
		if l.Tenant == "" {
			l.Tenant = tenant
		}
		if cleanup != nil {
			l.Cleanup = *cleanup
			l.note(cleanup.At, EventCleanedUp, "dlq-handler", cleanup.Text)
		}
		return nil, nil //nolint:nilnil // nothing more to commit
	})
	if err != nil {
		return fmt.Errorf("finish steps of letter %s: %w", stored.ID, err)
	}
	return nil
}

// claimReason is the reason that the holder of the claim gave.
func claimReason(l *Letter) string {
	for _, e := range slices.Backward(l.History) {
		if e.What == EventReplayBegan {
			return e.Reason
		}
	}
	return ""
}

// replayAudit is the one entry of a replay; its end overwrites its beginning.
func replayAudit(l *Letter, reason, outcome string) *Audit {
	return &Audit{
		ID: job.EventID("audit", l.ID, ActionReplay, strconv.FormatInt(l.Replays, 10)),
		At: l.Claim.At, Who: l.Claim.By, Action: ActionReplay, Target: l.ID, Operation: l.Claim.Operation,
		Reason: reason, Outcome: outcome,
	}
}

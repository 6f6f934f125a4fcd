package letters

import (
	"fmt"
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Arrival is a letter that has come from the dead letters.
type Arrival struct {
	// Letter is what the message says: all but what the store keeps itself.
	Letter Letter
	// MessageID is Pub/Sub's id of the dead letter, by which a second delivery of
	// it is known.
	MessageID string
	// DiedAt is when Pub/Sub took the dead letter.
	DiedAt time.Time
	// Replay is the number of the replay that the message says it comes from, 0
	// for none.
	Replay int64
}

// clockSkew is how far the clocks of Pub/Sub and of a replay may differ when
// they tell whether a letter died before or after it.
const clockSkew = time.Minute

// begin is the letter as it is stored when it comes for the first time.
func begin(a *Arrival, now time.Time) Letter {
	l := a.Letter
	l.State, l.Count, l.Episode = StateOpen, 1, 1
	l.FirstSeenAt, l.LastSeenAt = now, now
	l.Pending = []Step{StepCleanup, StepNotify}
	l.MessageIDs = []string{a.MessageID}
	l.Replays, l.AutoReplays, l.Claim, l.LastError, l.Cleanup = 0, 0, Claim{}, "", Cleanup{}
	l.ClosedAt, l.ExpiresAt, l.History = time.Time{}, time.Time{}, nil
	l.note(now, EventCaptured, l.Subscription, l.Reason)
	return l
}

// arrive is the letter after it has come again.
func arrive(current *Letter, a *Arrival, now time.Time) (Letter, Placed) {
	l := *current
	l.Pending, l.History, l.MessageIDs = slices.Clone(l.Pending), slices.Clone(l.History), slices.Clone(l.MessageIDs)
	if slices.Contains(l.MessageIDs, a.MessageID) {
		return l, PlacedDelivered
	}
	l.MessageIDs = append(l.MessageIDs, a.MessageID)
	l.MessageIDs = l.MessageIDs[max(0, len(l.MessageIDs)-MaxMessageIDs):]
	l.Count++
	switch l.State {
	case StateDiscarded:
		l.LastSeenAt = later(now, l.LastSeenAt)
		return l, PlacedRepeat
	case StateReplaying, StateReplayed:
		if !diedOfReplay(&l, a) {
			return l, PlacedRepeat // a copy of the death that the replay answered
		}
		l.learn(&a.Letter)
		l.reopen(later(now, l.LastSeenAt))
		return l, PlacedReopened
	default:
		l.LastSeenAt = later(now, l.LastSeenAt)
		if l.Fingerprint != a.Letter.Fingerprint {
			l.note(l.LastSeenAt, EventRepeated, a.Letter.Subscription, a.Letter.Reason)
		}
		l.learn(&a.Letter)
		return l, PlacedRepeat
	}
}

// diedOfReplay tells a death after the replay from a late copy of one before.
// In doubt it is taken for one after: a letter that is open once too often costs
// a look, one that is swallowed costs a job.
func diedOfReplay(l *Letter, a *Arrival) bool {
	return a.Replay == l.Replays || a.DiedAt.After(l.Claim.At.Add(-clockSkew))
}

// learn takes over what the newest death says.
func (l *Letter) learn(from *Letter) {
	l.Reason, l.Category, l.Dependency = from.Reason, from.Category, from.Dependency
	l.Fingerprint, l.Attempts = from.Fingerprint, from.Attempts
	if from.Tenant != "" {
		l.Tenant = from.Tenant
	}
}

func (l *Letter) reopen(now time.Time) {
	l.State, l.LastSeenAt = StateOpen, now
	l.Episode++
	l.ClosedAt, l.ExpiresAt, l.LastError = time.Time{}, time.Time{}, ""
	l.Pending = []Step{StepCleanup, StepNotify}
	l.note(now, EventDiedAgain, l.Subscription, fmt.Sprintf("after replay %d: %s", l.Replays, l.Reason))
}

// claim gives the letter to one replay.
func (l *Letter) claim(c Claim, reason string, now time.Time, keep time.Duration) {
	c.At, c.Until = now, now.Add(keep)
	l.State, l.Claim, l.LastError = StateReplaying, c, ""
	l.Replays++
	if c.Auto {
		l.AutoReplays++
	}
	l.note(now, EventReplayBegan, c.By, reason)
}

// release takes a letter back from a replay that did not send it.
func (l *Letter) release(why string, counts bool, now time.Time) {
	l.State, l.LastError = StateOpen, job.Cut(why, job.MaxMessageBytes)
	if l.Claim.Auto && !counts {
		l.AutoReplays = max(0, l.AutoReplays-1)
	}
	l.note(now, EventReplayFailed, l.Claim.By, why)
}

// close ends what the letter waited for.
func (l *Letter) close(state State, now time.Time) {
	l.State, l.ClosedAt, l.ExpiresAt = state, now, now.Add(KeepClosed)
}

// note adds to the history, and keeps the first and the newest of it.
func (l *Letter) note(at time.Time, what, who, reason string) {
	l.History = append(l.History, Event{
		At: at, What: what, Who: job.Cut(who, job.MaxMessageBytes), Reason: job.Cut(reason, job.MaxMessageBytes),
	})
	if extra := len(l.History) - MaxHistory; extra > 0 {
		l.History = slices.Delete(l.History, 1, 1+extra)
	}
}

// later keeps time from going back when another process's clock is ahead.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

package letters

import (
	"testing"
	"time"
)

// What an arrival makes of a letter that is stored already, in every state.
func TestArrive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	long := time.Hour
	cases := []struct {
		name  string
		state State
		// replay is the one that the message names, diedAt when it died; the
		// letter's second replay was claimed at now.
		message string
		replay  int64
		diedAt  time.Time
		placed  Placed
		then    State
		count   int64
	}{
		{"same_delivery", StateReplayed, "m-1", 2, now.Add(long), PlacedDelivered, StateReplayed, 1},
		{"open_again", StateOpen, "m-2", 0, now.Add(long), PlacedRepeat, StateOpen, 2},
		{"died_of_its_replay", StateReplayed, "m-2", 2, now.Add(-long), PlacedReopened, StateOpen, 2},
		{"died_before_the_replay_is_confirmed", StateReplaying, "m-2", 2, now, PlacedReopened, StateOpen, 2},
		{"died_after_the_replay_without_its_number", StateReplayed, "m-2", 0, now.Add(long), PlacedReopened, StateOpen, 2},
		{"in_doubt_of_the_clocks", StateReplayed, "m-2", 0, now.Add(-clockSkew / 2), PlacedReopened, StateOpen, 2},
		{"late_copy_of_the_death_before", StateReplayed, "m-2", 1, now.Add(-long), PlacedRepeat, StateReplayed, 2},
		{"discarded", StateDiscarded, "m-2", 0, now.Add(long), PlacedRepeat, StateDiscarded, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stored := begin(&Arrival{Letter: Letter{ID: "l", Reason: "first"}, MessageID: "m-1"}, now.Add(-2*long))
			stored.State, stored.Replays, stored.Claim.At, stored.Pending = c.state, 2, now, nil
			got, placed := arrive(&stored, &Arrival{
				Letter: Letter{ID: "l", Reason: "second"}, MessageID: c.message, Replay: c.replay, DiedAt: c.diedAt,
			}, now.Add(long))
			if placed != c.placed || got.State != c.then || got.Count != c.count {
				t.Errorf("%s, %s, died %d times; want %s, %s, %d", placed, got.State, got.Count, c.placed, c.then, c.count)
			}
			// Only who opens a letter has its job cleaned up and somebody told.
			opened := c.placed == PlacedReopened
			if todo := len(got.Pending) == 2; todo != opened || (got.Episode == 2) != opened || (got.Reason == "second") != (c.then == StateOpen) {
				t.Errorf("steps %v, episode %d, reason %q", got.Pending, got.Episode, got.Reason)
			}
			if stored.Count != 1 || len(stored.History) != 1 || len(stored.MessageIDs) != 1 {
				t.Errorf("the stored letter was changed: %+v", stored)
			}
		})
	}
}

// Only what was sent, or what the letter itself is refused for, uses up one of
// the times that it goes by itself.
func TestRelease(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		by     Claim
		counts bool
		want   int64
	}{
		{"automatic_in_an_outage", Claim{Auto: true}, false, 1},
		{"automatic_and_refused_for_good", Claim{Auto: true}, true, 2},
		{"a_person's", Claim{By: "ana"}, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := begin(&Arrival{Letter: Letter{ID: "l"}, MessageID: "m-1"}, now)
			l.AutoReplays = 1
			l.claim(c.by, "mended", now, time.Minute)
			l.release("no answer", c.counts, now)
			if l.AutoReplays != c.want || l.State != StateOpen || l.LastError != "no answer" || l.Replays != 1 {
				t.Errorf("it is %s, went %d times by itself, %d in all, last error %q", l.State, l.AutoReplays, l.Replays, l.LastError)
			}
			if last := l.History[len(l.History)-1]; last.What != EventReplayFailed {
				t.Errorf("history ends with %+v", last)
			}
		})
	}
}

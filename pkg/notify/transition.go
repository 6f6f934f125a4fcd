package notify

import (
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

// rules are the numbers that transitions go by.
type rules struct {
	quiet       time.Duration
	updateEvery time.Duration
	samples     int
	keep        time.Duration
}

// maxTitles bounds the titles that a summary shows.
const maxTitles = 10

// add counts facts of the notice's fingerprint, which must be shown already.
func (n *Notice) add(facts []Fact, now time.Time, r *rules) {
	if len(facts) == 0 {
		return
	}
	// A window that was never told goes on: its count must not vanish.
	if !n.empty() && n.State != StateOpen && now.Sub(n.NotedAt) > r.quiet {
		n.begin()
	}
	for i := range facts {
		f := &facts[i]
		if n.Count == 0 || f.At.Before(n.FirstSeen) {
			n.FirstSeen = f.At
		}
		if f.At.After(n.LastSeen) {
			n.LastSeen = f.At
		}
		n.Count++
		if len(n.Samples) < r.samples && (f.Detail != "" || f.DetailLink != "") {
			n.Samples = append(n.Samples, Sample{Text: f.Detail, Link: f.DetailLink, At: f.At})
		}
	}
	last := &facts[len(facts)-1]
	n.Kind, n.Fingerprint, n.Content = KindGroup, last.Fingerprint, last.Content
	n.changed(now, r)
}

// begin starts a new message of the same fingerprint.
func (n *Notice) begin() {
	n.Window++
	n.Slot, n.Doubt, n.DoubtSince, n.Plain = Slot{}, "", time.Time{}, false
	n.Count, n.Told, n.Groups, n.Titles = 0, 0, 0, nil
	n.Samples, n.Replies = nil, 0
	n.FirstSeen, n.LastSeen = time.Time{}, time.Time{}
	n.ToldAt, n.Attempts, n.LastError = time.Time{}, 0, ""
}

// fold adds a group that gets no message of its own to a summary, which is told
// what the group has not told yet, and closes the group.
func (n *Notice) fold(group *Notice, now time.Time, r *rules) {
	if !n.empty() && n.State != StateOpen && now.Sub(n.NotedAt) > r.updateEvery+foldWindow {
		n.begin()
	}
	n.Kind = KindSummary
	if n.Groups == 0 {
		n.FirstSeen = group.FirstSeen
	}
	if group.LastSeen.After(n.LastSeen) {
		n.LastSeen = group.LastSeen
	}
	n.Groups++
	n.Count += group.Count - group.Told
	if len(n.Titles) < maxTitles {
		n.Titles = append(n.Titles, group.Title)
	}
	if group.Link != "" && n.Link == "" {
		n.Link = group.Link
	}
	n.changed(now, r)
	group.Told, group.State = group.Count, StateFolded
	group.DueAt, group.PendingSince = time.Time{}, time.Time{}
}

// foldWindow is the time within which new groups count against each other.
const foldWindow = time.Minute

// changed notes that there is something to tell.
func (n *Notice) changed(now time.Time, r *rules) {
	n.Revision++
	n.NotedAt = now
	n.ExpireAt = now.Add(r.keep)
	if n.State == StateAbandoned || n.State == StateFolded {
		n.Attempts, n.LastError = 0, ""
	}
	n.schedule(now, r)
}

// schedule sets when the notice is to be looked at next. One that is claimed, or
// waits after a failure, keeps its time.
func (n *Notice) schedule(now time.Time, r *rules) {
	step := n.next("")
	if step.Part == partNone {
		n.State, n.DueAt, n.PendingSince = StateTold, time.Time{}, time.Time{}
		return
	}
	n.State = StateOpen
	if n.PendingSince.IsZero() {
		n.PendingSince = now
	}
	switch {
	case n.Claim.Until.After(now) || n.Attempts > 0 && n.DueAt.After(now):
	case step.Part == partUpdate:
		n.DueAt = later(now, n.ToldAt.Add(r.updateEvery))
	default:
		n.DueAt = now
	}
}

// claim gives the notice to by for a while and says what is to be sent; ok is
// false when it is not due or somebody else has it.
func (n *Notice) claim(by, sink string, now time.Time, lease time.Duration) (step Step, ok bool) {
	if n.State != StateOpen || n.DueAt.After(now) || n.Claim.Until.After(now) {
		return Step{}, false
	}
	if step = n.next(sink); step.Part == partNone {
		return Step{}, false
	}
	if step.Part == PartMessage && n.Slot != (Slot{}) {
		// Posted to another sink, which this one cannot change.
		n.Slot, n.Replies, n.Doubt = Slot{}, 0, ""
	}
	n.Claim = Claim{By: by, Until: now.Add(lease)}
	n.DueAt = n.Claim.Until
	step.Search = n.Doubt == step.Part
	step.Since = n.DoubtSince
	if step.Part != partUpdate && !step.Search {
		n.Doubt, n.DoubtSince = step.Part, now
		n.DoubtRevision, n.DoubtCount = step.Revision, step.Count
	}
	return step, true
}

// told notes that Slack shows what step was to send.
func (n *Notice) told(step *Step, slot Slot, now time.Time, r *rules) {
	switch step.Part {
	case PartMessage:
		n.Slot = slot
		n.Told, n.ToldRevision = step.Count, step.Revision
	case partUpdate:
		n.Told, n.ToldRevision = step.Count, step.Revision
	default:
		n.Replies = max(n.Replies, step.Reply+1)
	}
	n.Doubt, n.DoubtSince, n.Claim = "", time.Time{}, Claim{}
	n.ToldAt, n.Attempts, n.LastError = now, 0, ""
	n.schedule(now, r)
}

// failed notes a try that failed; the next is not before due.
func (n *Notice) failed(err *SendError, now, due time.Time) {
	n.Claim = Claim{}
	n.LastError = err.Code
	if err.Kind != KindLimited {
		n.Attempts++ // a limit is no failure
	}
	if !err.MaySent {
		n.Doubt, n.DoubtSince = "", time.Time{}
	}
	n.DueAt = later(now, due)
}

// gone notes that a person deleted the message: it is told anew, since there is
// something new to tell.
func (n *Notice) gone(now time.Time, r *rules) {
	n.Window++
	n.Slot, n.Replies, n.Claim = Slot{}, 0, Claim{}
	n.Doubt, n.DoubtSince = "", time.Time{}
	n.schedule(now, r)
}

// abandon gives up what is not told.
func (n *Notice) abandon(code string) {
	n.State, n.LastError, n.Claim = StateAbandoned, code, Claim{}
	n.DueAt, n.PendingSince = time.Time{}, time.Time{}
}

// retry is how long a notice waits after each failure.
func retry(attempts int64) time.Duration {
	return resilience.Backoff{Initial: 3 * time.Second, Max: 5 * time.Minute}.Delay(int(min(attempts, 10)))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

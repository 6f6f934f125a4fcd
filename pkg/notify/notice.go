package notify

import "time"

// Kinds of notices.
const (
	// KindGroup is a message about many facts of one fingerprint.
	KindGroup = "GROUP"
	// KindDigest is a message that is written once.
	KindDigest = "DIGEST"
	// KindSummary is the message that stands for the groups that got none of
	// their own, because there were too many at once.
	KindSummary = "SUMMARY"
)

// States of a notice.
const (
	// StateOpen means that Slack does not yet show all that is known.
	StateOpen = "OPEN"
	// StateTold means that it does.
	StateTold = "TOLD"
	// StateFolded means that a summary stands for it.
	StateFolded = "FOLDED"
	// StateAbandoned means that it was given up: too old, or refused for what it
	// says. A new fact opens it again.
	StateAbandoned = "ABANDONED"
)

// Notice is one message and what it has yet to say, as the store keeps it. Texts
// are redacted before they come here. Times are UTC, to the microsecond.
type Notice struct {
	ID   string `firestore:"id"`
	Kind string `firestore:"kind"`
	// Channel is the configured one; "" is that of whoever sends it.
	Channel     string `firestore:"channel"`
	Fingerprint string `firestore:"fingerprint"`
	// Window counts the messages of this fingerprint: a new one begins after a
	// quiet time.
	Window int64 `firestore:"window"`

	Content `firestore:"content"`
	// Count is how many facts this window holds, Told how many Slack shows.
	Count int64 `firestore:"count"`
	Told  int64 `firestore:"told"`
	// Groups and Titles are a summary's: how many groups it stands for, and the
	// first of their titles.
	Groups int64    `firestore:"groups"`
	Titles []string `firestore:"titles"`
	// FirstSeen and LastSeen are the times of the window's facts.
	FirstSeen time.Time `firestore:"first_seen"`
	LastSeen  time.Time `firestore:"last_seen"`
	// NotedAt is when the last of them was counted: facts may be told of late,
	// and a window ends by this.
	NotedAt time.Time `firestore:"noted_at"`
	// Samples are the details of its first facts; Replies is how many of them
	// the thread shows.
	Samples []Sample `firestore:"samples"`
	Replies int64    `firestore:"replies"`

	// Revision rises with every change of what is to be told; ToldRevision is the
	// one that Slack shows.
	Revision     int64 `firestore:"revision"`
	ToldRevision int64 `firestore:"told_revision"`
	// Slot is where the message stands; zero when it was not posted.
	Slot Slot `firestore:"slot"`
	// Plain says that Slack refused the blocks, so only text is sent.
	Plain bool `firestore:"plain"`

	State string `firestore:"state"`
	// PendingSince is when the oldest untold change was made, DueAt when to try
	// next; both zero when there is nothing to tell.
	PendingSince time.Time `firestore:"pending_since"`
	DueAt        time.Time `firestore:"due_at"`
	// ToldAt is when Slack last took something.
	ToldAt time.Time `firestore:"told_at"`
	// Attempts are the tries that failed since, LastError how the last one did.
	Attempts  int64  `firestore:"attempts"`
	LastError string `firestore:"last_error"`
	// Claim is who is at work on it.
	Claim Claim `firestore:"claim"`
	// Doubt is the part that may or may not be in Slack, since DoubtSince: its
	// post was begun and no answer is on record. "" for none.
	Doubt      string    `firestore:"doubt"`
	DoubtSince time.Time `firestore:"doubt_since"`
	// DoubtRevision and DoubtCount are what that part shows at least.
	DoubtRevision int64 `firestore:"doubt_revision"`
	DoubtCount    int64 `firestore:"doubt_count"`
	// ExpireAt is when the store may delete it.
	ExpireAt time.Time `firestore:"expire_at"`
}

// Content is what a message says beside its counts.
type Content struct {
	// Title is one line.
	Title string `firestore:"title"`
	// Sections are paragraphs.
	Sections []string `firestore:"sections"`
	// Fields are shown as a table of labels and values.
	Fields []Field `firestore:"fields"`
	// Link is the absolute URL of a page with more; "" for none.
	Link string `firestore:"link"`
}

// Field is one line of a table.
type Field struct {
	Name  string `firestore:"name"`
	Value string `firestore:"value"`
}

// Sample is the detail of one fact.
type Sample struct {
	Text string    `firestore:"text"`
	Link string    `firestore:"link"`
	At   time.Time `firestore:"at"`
}

// Slot is the place of a posted message.
type Slot struct {
	// Sink is the name of the poster that it went to.
	Sink string `firestore:"sink"`
	// Channel and Timestamp are Slack's own, which identify it.
	Channel   string `firestore:"channel"`
	Timestamp string `firestore:"timestamp"`
}

// Claim is the right to send a notice, until a time.
type Claim struct {
	By    string    `firestore:"by"`
	Until time.Time `firestore:"until"`
}

func (c Claim) is(o Claim) bool { return c.By == o.By && c.Until.Equal(o.Until) }

// empty reports whether a notice was never stored.
func (n *Notice) empty() bool { return n.Kind == "" }

package letters

import (
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

// State is what a letter waits for.
type State string

// The states of a letter.
const (
	// StateOpen means that somebody has to look at it, or a replay to come.
	StateOpen State = "OPEN"
	// StateReplaying means that one replay has claimed it and is sending it.
	StateReplaying State = "REPLAYING"
	// StateReplayed means that Pub/Sub has it again; if it dies again it is opened.
	StateReplayed State = "REPLAYED"
	// StateDiscarded means that a person has said that it is of no more use.
	StateDiscarded State = "DISCARDED"
)

// States lists all states, in the order in which a page shows them.
func States() []State { return []State{StateOpen, StateReplaying, StateReplayed, StateDiscarded} }

// Unknown stands for a subscription, topic or type that is none of ours.
const Unknown = "unknown"

// TypeLogEntry is the type of what Cloud Logging's sink publishes, which is JSON.
const TypeLogEntry = "google.logging.LogEntry"

// KeepClosed is how long a letter is kept after it was replayed or discarded.
const KeepClosed = 90 * 24 * time.Hour

// Limits of what a letter holds.
const (
	// MaxInlinePayload is the largest payload in bytes that is kept in the
	// document, which Firestore bounds at 1 MiB with all that is in it.
	MaxInlinePayload = 512 << 10
	// MaxDecoded is the size in bytes of the view for people.
	MaxDecoded = 32 << 10
	// MaxHistory is how many events a letter remembers, the first one always.
	MaxHistory = 50
	// MaxMessageIDs is how many deliveries a letter remembers, to tell a message
	// that is delivered again from one that died again.
	MaxMessageIDs = 20
)

// Letter is one dead message. Texts in it come from outside: they are valid
// UTF-8 and cut to size, and nothing more.
type Letter struct {
	// ID names the document; see the function ID.
	ID string `firestore:"-"`
	// State is what it waits for.
	State State `firestore:"state"`
	// Subscription is the one that it died in, Unknown if it names none of ours.
	Subscription string `firestore:"subscription"`
	// Topic is the topic of that subscription, Unknown with it.
	Topic string `firestore:"topic"`
	// Type is the full name of the protobuf message, TypeLogEntry or Unknown.
	Type string `firestore:"type"`
	// EventID is the id of the fact, when the payload tells one.
	EventID string `firestore:"event_id"`
	// JobID is the job that it is about, "" when it names none.
	JobID string `firestore:"job_id"`
	// Tenant owns the job, as its record or else the payload says; "" when
	// neither does, and then only who may see all tenants sees the letter.
	Tenant        string `firestore:"tenant"`
	CorrelationID string `firestore:"correlation_id"`
	// Attempts is how often it was delivered before it died last; 0 when unknown.
	Attempts int64 `firestore:"attempts"`
	// Reason is the error that it died of last, at most 1,024 bytes.
	Reason string `firestore:"reason"`
	// Category is that of the error.
	Category resilience.Category `firestore:"category"`
	// Dependency names what was down, for category dependency.
	Dependency string `firestore:"dependency"`
	// Fingerprint is the same for letters that died of the same thing.
	Fingerprint string `firestore:"fingerprint"`
	// Count is how often the message died.
	Count int64 `firestore:"count"`
	// PublishedAt is when the message was published first; zero when unknown.
	PublishedAt time.Time `firestore:"published_at,omitempty"`
	// FirstSeenAt and LastSeenAt are when it was stored and when it last came,
	// by the clock of dlq-handler. Lists are in the order of LastSeenAt.
	FirstSeenAt time.Time `firestore:"first_seen_at"`
	LastSeenAt  time.Time `firestore:"last_seen_at"`

	// Payload is the message as it was. In lists, and when PayloadURI is set, nil.
	Payload []byte `firestore:"payload"`
	// PayloadURI is where a payload above MaxInlinePayload is, as gs://bucket/object.
	PayloadURI    string `firestore:"payload_uri"`
	PayloadSize   int64  `firestore:"payload_size"`
	PayloadSHA256 string `firestore:"payload_sha256"`
	// Attributes are the message's own, without those that were added on its way
	// to the dead letters; sorted by key. Not in lists.
	Attributes []Attribute `firestore:"attributes"`
	// Decoded is the payload for people, at most MaxDecoded bytes. Not in lists.
	Decoded string `firestore:"decoded"`

	// Cleanup says what was done for the job.
	Cleanup Cleanup `firestore:"cleanup"`
	// Pending are the steps that are still to be taken after storing.
	Pending []Step `firestore:"pending"`
	// Episode counts how often the letter was opened, from 1.
	Episode int64 `firestore:"episode"`

	// Replays counts the replays, AutoReplays those that no person asked for.
	Replays     int64 `firestore:"replays"`
	AutoReplays int64 `firestore:"auto_replays"`
	// Claim is the replay that is sending it, or sent it last.
	Claim Claim `firestore:"claim"`
	// LastError is why the last replay could not be sent; "" if it could.
	LastError string `firestore:"last_error"`
	// ClosedAt is when it was replayed or discarded; zero while it is open.
	ClosedAt time.Time `firestore:"closed_at,omitempty"`
	// ExpiresAt is when Firestore may delete it; zero, which is never, while open.
	ExpiresAt time.Time `firestore:"expires_at,omitempty"`
	// History is what happened to it, oldest first. Not in lists.
	History []Event `firestore:"history"`
	// MessageIDs are Pub/Sub's ids of the last deliveries of its deaths.
	MessageIDs []string `firestore:"message_ids"`

	// UpdateTime is the server's time of the last write, the precondition of the next.
	UpdateTime time.Time `firestore:"-"`
}

// Attribute is one attribute of a message. A list of them rather than a map,
// since Firestore refuses some keys that Pub/Sub allows.
type Attribute struct {
	Key   string `firestore:"key"`
	Value string `firestore:"value"`
}

// Event is one thing that happened to a letter.
type Event struct {
	At time.Time `firestore:"at"`
	// What is one of the constants below.
	What string `firestore:"what"`
	// Who did it: a person's address, or the name of a part of dlq-handler.
	Who string `firestore:"who"`
	// Reason says why, or what of: at most 1,024 bytes.
	Reason string `firestore:"reason"`
}

// What happens to a letter.
const (
	EventCaptured     = "captured"
	EventRepeated     = "repeated"
	EventDiedAgain    = "died_again"
	EventCleanedUp    = "cleaned_up"
	EventReplayBegan  = "replay_began"
	EventReplayed     = "replayed"
	EventReplayFailed = "replay_failed"
	EventReplayLost   = "replay_interrupted"
	EventDiscarded    = "discarded"
)

// Claim is the right to send a letter, held by one replay.
type Claim struct {
	// By is who asked for the replay.
	By string `firestore:"by"`
	// Operation is the id of the operation that it is part of, "" for a single one.
	Operation string `firestore:"operation"`
	// Auto says that no person asked for it.
	Auto bool `firestore:"auto"`
	// At is when the letter was claimed; Until is when the claim counts as lost.
	At    time.Time `firestore:"at,omitempty"`
	Until time.Time `firestore:"until,omitempty"`
}

// Cleanup says what dlq-handler did for the job of a letter.
type Cleanup struct {
	// Action is a word such as "applied"; "" before it was done.
	Action string `firestore:"action"`
	// Text is the sentence for people.
	Text string    `firestore:"text"`
	At   time.Time `firestore:"at,omitempty"`
}

// Step is something to be done for a letter after it is stored.
type Step string

// The steps.
const (
	StepCleanup Step = "cleanup"
	StepNotify  Step = "notify"
)

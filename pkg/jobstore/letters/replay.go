package letters

import "time"

// ReplayOutcome is what came of asking for a replay.
type ReplayOutcome string

// The outcomes of a replay.
const (
	// ReplaySent: Pub/Sub has confirmed the message.
	ReplaySent ReplayOutcome = "replayed"
	// ReplayAlready: it had been replayed before and has not died since; nothing
	// was sent.
	ReplayAlready ReplayOutcome = "already_replayed"
	// ReplayBusy: another replay is sending it at this moment; nothing was sent.
	ReplayBusy ReplayOutcome = "in_progress"
	// ReplayRefused: it cannot be sent as things are; the letter stays open.
	ReplayRefused ReplayOutcome = "refused"
)

// ReplayResult is the answer to who asked for a replay.
type ReplayResult struct {
	Outcome ReplayOutcome `json:"outcome"`
	// Text is the plain sentence for people.
	Text string `json:"text"`
	// Letter is the letter since.
	Letter Letter `json:"-"`
}

// ReplayRequest asks for a replay by filter.
type ReplayRequest struct {
	Filter Filter
	// Rate is how many letters a second are sent; 0 takes the default.
	Rate float64
	// Limit is how many are sent at most; 0 is all.
	Limit int64
	// By is who asks, Reason why.
	By, Reason string
}

// Preview is what a replay by filter would do: a dry run.
type Preview struct {
	// Matched is how many open letters the filter chooses now.
	Matched int64
	// Sample are some of them, newest first, as in a list.
	Sample []Letter
	// Takes is how long it would take at the rate asked for.
	Takes time.Duration
}

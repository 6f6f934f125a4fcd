package letters

import "time"

// Audit is one thing that somebody did to letters. It is committed with what
// it tells of, and never deleted.
type Audit struct {
	// ID names the document.
	ID string    `firestore:"-" json:"id"`
	At time.Time `firestore:"at" json:"at"`
	// Who did it: a person's address, or the name of a part of dlq-handler.
	Who string `firestore:"who" json:"who"`
	// Action is one of the constants below.
	Action string `firestore:"action" json:"action"`
	// Target is the id of the letter or operation.
	Target string `firestore:"target" json:"target"`
	// Operation is the operation that a replay was part of, if any.
	Operation string `firestore:"operation" json:"operation,omitempty"`
	// Reason is why, in the words of who did it.
	Reason string `firestore:"reason" json:"reason"`
	// Outcome is what came of it; "begun" until that is known.
	Outcome string `firestore:"outcome" json:"outcome"`
}

// What is audited.
const (
	ActionReplay          = "replay"
	ActionDiscard         = "discard"
	ActionStartOperation  = "start_operation"
	ActionCancelOperation = "cancel_operation"
)

// AuditFilter chooses entries; empty fields choose all.
type AuditFilter struct {
	// Target is the id of a letter or operation.
	Target string
	// Who did it.
	Who string
}

// AuditPage is a part of the audit log, newest first.
type AuditPage struct {
	Entries []Audit
	// Next is where the next page begins; nil at the end.
	Next *Cursor
}

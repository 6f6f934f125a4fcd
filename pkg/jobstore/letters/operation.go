package letters

import "time"

// OperationState is how far an operation is.
type OperationState string

// The states of an operation.
const (
	OperationRunning   OperationState = "RUNNING"
	OperationDone      OperationState = "DONE"
	OperationFailed    OperationState = "FAILED"
	OperationCancelled OperationState = "CANCELLED"
)

// KeepOperations is how long an operation is kept after its end.
const KeepOperations = 90 * 24 * time.Hour

// Operation is a replay by filter. It works in the background, newest letters
// first, and survives the process that runs it.
type Operation struct {
	// ID names the document.
	ID    string         `firestore:"-" json:"id"`
	State OperationState `firestore:"state" json:"state"`
	// Filter chooses the letters; only open ones are taken, and none that came
	// after the operation was asked for, so that one which dies again is not
	// sent again and again.
	Filter Filter `firestore:"filter" json:"filter"`
	// Rate is how many letters a second are sent at most.
	Rate float64 `firestore:"rate" json:"rate"`
	// Limit is how many are sent at most; 0 is all.
	Limit int64 `firestore:"limit" json:"limit"`
	// By is who asked for it, Reason why.
	By     string `firestore:"by" json:"by"`
	Reason string `firestore:"reason" json:"reason"`

	CreatedAt  time.Time `firestore:"created_at" json:"created_at"`
	UpdatedAt  time.Time `firestore:"updated_at" json:"updated_at"`
	FinishedAt time.Time `firestore:"finished_at,omitempty" json:"finished_at,omitzero"`
	ExpiresAt  time.Time `firestore:"expires_at,omitempty" json:"-"`

	// Matched is how many letters the filter chose when it began.
	Matched int64 `firestore:"matched" json:"matched"`
	// Replayed were sent; Skipped were no longer open; Failed could not be sent.
	Replayed int64 `firestore:"replayed" json:"replayed"`
	Skipped  int64 `firestore:"skipped" json:"skipped"`
	Failed   int64 `firestore:"failed" json:"failed"`
	// LastError is the last reason of a letter that could not be sent, or why the
	// operation failed.
	LastError string `firestore:"last_error" json:"last_error,omitempty"`
	// Cursor is the last letter that is done with; nil at the beginning.
	Cursor *Cursor `firestore:"cursor" json:"-"`

	// LeaseOwner is the process that runs it, until LeaseUntil.
	LeaseOwner string    `firestore:"lease_owner" json:"-"`
	LeaseUntil time.Time `firestore:"lease_until,omitempty" json:"-"`

	// UpdateTime is the server's time of the last write.
	UpdateTime time.Time `firestore:"-" json:"-"`
}

// Done is how many letters the operation is done with.
func (o *Operation) Done() int64 { return o.Replayed + o.Skipped + o.Failed }

// OperationPage is a part of the list of operations, newest first.
type OperationPage struct {
	Operations []Operation
	// Next is where the next page begins; nil at the end.
	Next *Cursor
}

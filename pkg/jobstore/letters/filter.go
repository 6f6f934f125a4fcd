package letters

import (
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

// MaxTenants is how many tenants a filter may name: Firestore's limit.
const MaxTenants = 30

// MaxPage is the largest page of a list.
const MaxPage = 200

// Filter chooses letters; empty fields choose all.
type Filter struct {
	State        State               `firestore:"state" json:"state,omitempty"`
	Fingerprint  string              `firestore:"fingerprint" json:"fingerprint,omitempty"`
	Category     resilience.Category `firestore:"category" json:"category,omitempty"`
	Dependency   string              `firestore:"dependency" json:"dependency,omitempty"`
	Subscription string              `firestore:"subscription" json:"subscription,omitempty"`
	JobID        string              `firestore:"job_id" json:"job_id,omitempty"`
	// Tenants restricts it to letters of these tenants, MaxTenants at most. nil is
	// no restriction; empty and not nil chooses nothing.
	Tenants []string `firestore:"tenants" json:"tenants,omitempty"`
	// From and To bound LastSeenAt: from From on, and before To.
	From time.Time `firestore:"from,omitempty" json:"from,omitzero"`
	To   time.Time `firestore:"to,omitempty" json:"to,omitzero"`
}

// Everything reports whether the filter chooses every letter of its state.
func (f *Filter) Everything() bool {
	return f.Fingerprint == "" && f.Category == "" && f.Dependency == "" && f.Subscription == "" &&
		f.JobID == "" && f.Tenants == nil && f.From.IsZero() && f.To.IsZero()
}

// Cursor is a place in a list: after the document of this time and id. Times
// are to the microsecond, as Firestore keeps them.
type Cursor struct {
	At time.Time `firestore:"at" json:"at"`
	ID string    `firestore:"id" json:"id"`
}

// Page is a part of a list of letters, newest first, without payload,
// attributes, decoded view and history.
type Page struct {
	Letters []Letter
	// Next is where the next page begins; nil at the end.
	Next *Cursor
}

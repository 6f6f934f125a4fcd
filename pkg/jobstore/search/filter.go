package search

import (
	"errors"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// Limits of a search.
const (
	// MaxPage is the largest page.
	MaxPage = 200
	// MaxTenants is how many tenants a filter may name: Firestore's limit.
	MaxTenants = 30
)

// ErrFilter says that a search cannot be asked for as it is.
var ErrFilter = errors.New("this search cannot be made")

// Filter chooses jobs; empty fields choose all.
type Filter struct {
	// JobID is the id of one job, Prefix the beginning of ids; not both. With either,
	// jobs come in the order of their ids, and no time can be asked for.
	JobID, Prefix string
	Owner         string
	// State, Cause and Stage are names as records hold them; Stage is UNSPECIFIED
	// for jobs that no stage has spoken for.
	State, Stage, Cause string
	// Tenants restricts it to jobs of these tenants. nil is no restriction; empty and
	// not nil chooses nothing.
	Tenants []string
	// From and To bound when a record last changed: from From on, and before To.
	From, To time.Time
}

// byID reports whether the jobs come in the order of their ids.
func (f *Filter) byID() bool { return f.JobID != "" || f.Prefix != "" }

func (f *Filter) check(limit int) error {
	refuse := func(format string, args ...any) error {
		return resilience.Permanent(fmt.Errorf("search jobs: %w: %s", ErrFilter, fmt.Sprintf(format, args...)))
	}
	switch {
	case limit < 1 || limit > MaxPage:
		return refuse("a page has 1 to %d jobs, not %d", MaxPage, limit)
	case len(f.Tenants) > MaxTenants:
		return refuse("%d tenants, at most %d can be asked for at once", len(f.Tenants), MaxTenants)
	case f.JobID != "" && job.CheckID(f.JobID) != nil:
		return refuse("%q is no job id", job.Cut(f.JobID, 64))
	// Whatever begins an id could itself be one, but for its last character.
	case f.Prefix != "" && job.CheckID(f.Prefix+"0") != nil && job.CheckID(f.Prefix) != nil:
		return refuse("no job id begins with %q", job.Cut(f.Prefix, 64))
	case f.JobID != "" && f.Prefix != "":
		return refuse("an id and a beginning of ids cannot be asked for together")
	case f.byID() && (!f.From.IsZero() || !f.To.IsZero()):
		return refuse("ids and a time cannot be asked for together")
	default:
		return nil
	}
}

// Cursor is a place in a list: after the job of this time and id. At is zero in
// lists by id.
type Cursor struct {
	At time.Time `json:"at,omitzero"`
	ID string    `json:"id"`
}

// Row is a job in a list.
type Row struct {
	JobID         string `json:"job_id"`
	State         string `json:"state"`
	Stage         string `json:"stage"`
	Attempt       int64  `json:"attempt"`
	Cause         string `json:"cause,omitempty"`
	Delayed       bool   `json:"delayed"`
	Vanished      bool   `json:"vanished"`
	Owner         string `json:"owner,omitempty"`
	Tenant        string `json:"tenant,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	// OccurredAt is when the state became true, UpdatedAt when the record changed.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at"`
	Revision   int64     `json:"revision"`
}

// Page is a part of a list.
type Page struct {
	Rows []Row
	// Next is where the next page begins; nil at the end.
	Next *Cursor
}

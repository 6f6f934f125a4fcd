package timeline

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Input is everything that is on record about one job.
type Input struct {
	JobID string
	// Record is the job's record; nil when there is none.
	Record *Record
	// Phases and Updates in any order; the same event twice counts once.
	Phases  []Phase
	Updates []Update
	Letters []Letter
	// Stored is how many phases and updates the store holds of the job: more than
	// are given here where there are too many to read. OlderProgress of them are not
	// given because newer ones tell how far a phase is.
	Stored, OlderProgress int
}

// Record is a job's record, as far as a timeline shows it.
type Record struct {
	View          job.View
	Owner         string
	Tenant        string
	CorrelationID string
	OutputURI     string
	Kubernetes    job.Kubernetes
	// StartedAt is the earliest moment that is known of the attempt.
	StartedAt time.Time
	Revision  int64
	UpdatedAt time.Time
	UpdatedBy string
	// CheckAfter is when recovery looks at the job next.
	CheckAfter time.Time
	// Resumes is how often recovery asked for another run. ResumeAttempt is the
	// attempt that the job was in when it last did, ResumeUntil when that command
	// expires; zero when it never did.
	Resumes       int64
	ResumeAttempt int32
	ResumeUntil   time.Time
}

// Phase is one stored phase with those who told of it.
type Phase struct {
	Event     *resiliencyv1.PhaseEvent
	Witnesses []Witness
}

// Witness is one source that told of a fact.
type Witness struct {
	// Source is its name, as job.SourceName gives it.
	Source string `json:"source"`
	// Reporter names the process; for people.
	Reporter string `json:"reporter,omitempty"`
	// ReceivedAt is when Pub/Sub took the message: the one clock that all
	// reporters share. Zero when unknown.
	ReceivedAt time.Time `json:"received_at,omitzero"`
}

// Update is one update that went out to the product.
type Update struct {
	Event *resiliencyv1.JobUpdate
	// SentAt is when Pub/Sub took it; zero when unknown.
	SentAt time.Time
}

// Letter is one dead letter about the job.
type Letter struct {
	ID           string    `json:"id"`
	State        string    `json:"state"`
	Subscription string    `json:"subscription"`
	Reason       string    `json:"reason"`
	Category     string    `json:"category,omitempty"`
	Count        int64     `json:"count"`
	FirstSeenAt  time.Time `json:"first_seen_at,omitzero"`
	LastSeenAt   time.Time `json:"last_seen_at,omitzero"`
	// Cleanup says what was done for the job because of it.
	Cleanup string `json:"cleanup,omitempty"`
}

// Open reports whether somebody still has to act on the letter.
func (l *Letter) Open() bool { return l.State == "OPEN" }

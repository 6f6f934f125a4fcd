package timeline

import "time"

// Timeline is a job as it is shown. Its JSON form is that of the API; fields are
// only ever added.
type Timeline struct {
	JobID string `json:"job_id"`
	// BuiltAt is the moment that open phases are drawn to.
	BuiltAt time.Time `json:"built_at"`
	Status  Status    `json:"status"`
	// Live says that the job is not over, so that a page goes on to look.
	Live bool `json:"live"`
	// Begin and End bound the time axis; zero when there is nothing to draw.
	Begin time.Time `json:"begin,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Lanes are in the order of attempt and stage ordinal.
	Lanes []Lane `json:"lanes"`
	// Stop says where the job stopped, or where it is; nil when nothing tells.
	Stop *Stop `json:"stop,omitempty"`
	// The lists are in the order of time, oldest first.
	Capsules    []Capsule    `json:"capsules,omitempty"`
	Judgements  []Judgement  `json:"judgements,omitempty"`
	Letters     []Letter     `json:"dead_letters,omitempty"`
	Corrections []Correction `json:"corrections,omitempty"`
	Updates     []Sent       `json:"updates,omitempty"`
	// Facts are what was said of the job's status, and by whom.
	Facts []Fact `json:"facts,omitempty"`
	// Sources are all who told of the job.
	Sources []Source `json:"sources,omitempty"`
	// Warnings say how to read what does not fit together.
	Warnings []Warning `json:"warnings,omitempty"`
	// Cut says what is not shown.
	Cut Cut `json:"cut"`
}

// Lane holds the phases of one stage in one attempt.
type Lane struct {
	Attempt int32 `json:"attempt"`
	// Stage is empty for what belongs to no stage.
	Stage   string `json:"stage"`
	Ordinal int32  `json:"stage_ordinal"`
	// Begin and End are of the first and the last thing in it.
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	// State is the worst of its phases: failed, running, unfinished or ended.
	State State `json:"state"`
	// Skew is by how much it begins before the stage before it, when it does: the
	// clocks of two components disagree.
	Skew time.Duration `json:"skew_ns,omitempty"`
	// Spans are in the order of their start.
	Spans []Span `json:"spans"`
}

// State is how a span is to be drawn.
type State string

// The states of phases and, from StateInfo on, of moments.
const (
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
	// StateEnded is that of a phase whose end does not say how it ended.
	StateEnded State = "ended"
	// StateUnfinished is that of a phase without an end whose stage or job is over.
	StateUnfinished State = "unfinished"

	StateInfo    State = "info"
	StateWarning State = "warning"
	StateError   State = "error"
)

// Mark says that a span cannot be taken as it stands, and how it is read.
type Mark string

// The marks.
const (
	// MarkStartMissing: only its end or its progress was told. It is drawn from
	// the first thing known, and its duration is not known.
	MarkStartMissing Mark = "start_missing"
	// MarkEndMissing: its stage or job is over and no end was told. It is drawn to
	// the end of what is known, and its duration is not known.
	MarkEndMissing Mark = "end_missing"
	// MarkNegative: it ended before it began, by the clocks of its reporters. It
	// is drawn at its start, with no length.
	MarkNegative Mark = "negative_duration"
	// MarkRepeated: its name and number were used more than once. Starts and ends
	// are paired in the order of time.
	MarkRepeated Mark = "repeated"
	// MarkClockAhead: it was received before it happened, by its reporter's clock.
	MarkClockAhead Mark = "clock_ahead"
	// MarkFarOff: its time lies a month or more before everything newest; it is drawn
	// at the edge of the axis.
	MarkFarOff Mark = "far_off"
	// MarkUnknownKind: a later release made it; only its head is understood.
	MarkUnknownKind Mark = "unknown_kind"
)

// Span is one phase, or one moment.
type Span struct {
	// ID is the event id of its first event, unique in the timeline.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Sequence tells repeated phases of one name apart, as their reporter counts.
	Sequence int64 `json:"sequence"`
	// Moment is true for what has no length.
	Moment bool  `json:"moment"`
	State  State `json:"state"`
	// Start and End are where it is drawn; equal for a moment.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// ReportedStart and ReportedEnd are what was told, zero when nothing was.
	ReportedStart time.Time `json:"reported_start,omitzero"`
	ReportedEnd   time.Time `json:"reported_end,omitzero"`
	// Duration is nil when it is not known; never negative.
	Duration *time.Duration `json:"duration_ns,omitempty"`
	Marks    []Mark         `json:"marks,omitempty"`
	// Progress is the last that was told.
	Progress  *Progress         `json:"progress,omitempty"`
	Message   string            `json:"message,omitempty"`
	Cause     *Cause            `json:"cause,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
	Witnesses []Witness         `json:"witnesses,omitempty"`
}

// Has reports whether the span carries a mark.
func (s *Span) Has(m Mark) bool {
	for _, mark := range s.Marks {
		if mark == m {
			return true
		}
	}
	return false
}

// Progress is how far a phase is.
type Progress struct {
	At    time.Time `json:"at"`
	Done  float64   `json:"done"`
	Total float64   `json:"total,omitempty"`
	Unit  string    `json:"unit,omitempty"`
}

// Cause is why something failed.
type Cause struct {
	Cause     string `json:"cause"`
	Message   string `json:"message,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	ExitCode  *int32 `json:"exit_code,omitempty"`
	Node      string `json:"node,omitempty"`
}

// Stop says where a job stopped or, while it goes on, where it is.
type Stop struct {
	// Over says that the job ended there.
	Over    bool   `json:"over"`
	Attempt int32  `json:"attempt"`
	Stage   string `json:"stage"`
	// SpanID and Phase name the phase; empty when none tells.
	SpanID string    `json:"span_id,omitempty"`
	Phase  string    `json:"phase,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Cause  *Cause    `json:"cause,omitempty"`
}

// Fact is one thing that was said of the job's status.
type Fact struct {
	At        time.Time `json:"at"`
	Attempt   int32     `json:"attempt"`
	Stage     string    `json:"stage"`
	What      string    `json:"what"`
	SpanID    string    `json:"span_id"`
	Witnesses []Witness `json:"witnesses"`
}

// Source is one who told of the job.
type Source struct {
	Source string    `json:"source"`
	Events int       `json:"events"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// Warning says how to read what does not fit together.
type Warning struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Cut says what is not shown; Text is empty when all is.
type Cut struct {
	// Stored is how many phases and updates there are, Read how many were read,
	// Spans how many spans they make and Drawn how many of these are shown.
	Stored int `json:"stored"`
	Read   int `json:"read"`
	Spans  int `json:"spans"`
	Drawn  int `json:"drawn"`
	// OlderProgress is how many were left out because they only tell how far a phase
	// was, and newer ones tell how far it is: nothing is missing without them.
	OlderProgress int    `json:"older_progress,omitempty"`
	Text          string `json:"text,omitempty"`
}

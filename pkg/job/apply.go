package job

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Outcome is what a claim did to a record.
type Outcome uint8

const (
	// OutcomeApplied means that the record knows something new.
	OutcomeApplied Outcome = iota + 1
	// OutcomeDuplicate means that the record knew just this.
	OutcomeDuplicate
	// OutcomeStale means that the record knew better.
	OutcomeStale
	// OutcomeCorrected means that a verdict was replaced by a different one.
	OutcomeCorrected
)

// String is the name that logs and metrics use.
func (o Outcome) String() string {
	switch o {
	case OutcomeApplied:
		return "applied"
	case OutcomeDuplicate:
		return "duplicate"
	case OutcomeStale:
		return "stale"
	case OutcomeCorrected:
		return "corrected"
	default:
		return "unknown"
	}
}

// Changed reports whether the record must be written.
func (o Outcome) Changed() bool { return o == OutcomeApplied || o == OutcomeCorrected }

// Of is the record that knows one claim and nothing else. Times are cut to
// Precision and texts to their limits, so that what is merged is what can be
// stored.
func Of(o *Observation) Record {
	r := Record{JobID: o.JobID}
	at, life := cutTime(o.OccurredAt), lifeOf(o)
	since := at
	if !life.CreatedAt.IsZero() && life.CreatedAt.Before(at) {
		since = life.CreatedAt
	}
	r.describe(o, at)
	r.Started = Start{Attempt: o.Attempt, At: since}
	if o.Kubernetes.UID != "" {
		r.Kubernetes = KubernetesClaim{Attempt: o.Attempt, Ordinal: o.Ordinal, Stage: o.Stage, Kubernetes: o.Kubernetes}
		r.Kubernetes.CreatedAt = life.CreatedAt
	}
	switch o.Kind {
	case KindStatus:
		r.Status = Status{
			Life: life, State: o.State, Evidence: o.Evidence, StageDone: o.StageDone,
			OccurredAt: at, Generation: o.Generation, Detail: Cut(o.Detail, MaxDetailBytes),
		}
		r.Cause = causeOf(o, life, at)
	case KindCause:
		r.Cause = causeOf(o, life, at)
	case KindVanished:
		r.Vanished = Mark{Life: life, OccurredAt: at, Set: true, Reason: StateName(o.LastState)}
	case KindDelay:
		r.Delayed = Mark{Life: life, OccurredAt: at, Set: o.Delayed, Reason: Cut(o.DelayReason, MaxMessageBytes)}
	}
	return r
}

// work is what one Apply needs beside the record. It is pooled because the
// levels are called through a list, so the compiler must put what they are
// given on the heap.
type work struct {
	claim  Record
	before Status
}

var scratch = sync.Pool{New: func() any { return new(work) }} //nolint:gochecknoglobals // a pool serves the whole process

// Apply merges one claim into the record and says what it did.
func (r *Record) Apply(o *Observation) Outcome { return merge.apply(r, o) }

func (m *rules) apply(r *Record, o *Observation) Outcome {
	s := scratch.Get().(*work)
	defer scratch.Put(s)
	s.claim, s.before = Of(o), r.Status
	if !m.join(r, &s.claim) {
		if m.knew(r, o.Kind, &s.claim) {
			return OutcomeDuplicate
		}
		return OutcomeStale
	}
	if Corrected(&s.before, &r.Status) {
		return OutcomeCorrected
	}
	return OutcomeApplied
}

// knew reports whether the register that a claim speaks to holds just it.
func (m *rules) knew(r *Record, k Kind, claim *Record) bool {
	switch k {
	case KindStatus:
		return m.status.compare(&r.Status, &claim.Status) == 0
	case KindCause:
		return m.cause.compare(&r.Cause, &claim.Cause) == 0
	case KindVanished:
		return m.mark.compare(&r.Vanished, &claim.Vanished) == 0
	case KindDelay:
		return m.mark.compare(&r.Delayed, &claim.Delayed) == 0
	}
	return true
}

// Corrected reports whether the change of a status took back a verdict: a
// terminal state of the same attempt was replaced by another state, either of
// the same life or because the verdict rested on silence. A Job recreated after
// it had truly failed, and a rerun, are new lives and correct nothing.
func Corrected(before, after *Status) bool {
	return Terminal(before.State) && before.State != after.State &&
		before.Attempt == after.Attempt &&
		(before.Life == after.Life || !before.final())
}

// lifeOf names the life that a claim is about. A Kubernetes Job tells lives
// apart by its creation time and UID together: a reporter that knows the UID
// alone speaks for the stage, or one Job would have two lives.
func lifeOf(o *Observation) Life {
	l := Life{Attempt: o.Attempt, Ordinal: o.Ordinal, Stage: o.Stage}
	if !o.Kubernetes.CreatedAt.IsZero() && o.Kubernetes.UID != "" {
		l.CreatedAt, l.UID = o.Kubernetes.CreatedAt.UTC().Truncate(time.Second), o.Kubernetes.UID
	}
	return l
}

// describe sets the descriptive fields. A Kubernetes Job describes itself from
// its creation on: all claims about it then carry one time, and the second
// claim need not write what the first has written.
func (r *Record) describe(o *Observation, at time.Time) {
	if !o.Kubernetes.CreatedAt.IsZero() {
		at = o.Kubernetes.CreatedAt.UTC().Truncate(time.Second)
	}
	rank := sourceRank(o.Source)
	set := func(d *Described, value string) {
		if value != "" {
			*d = Described{Value: Cut(value, MaxMessageBytes), SourceRank: rank, OccurredAt: at}
		}
	}
	set(&r.Owner, o.Owner)
	set(&r.Tenant, o.Tenant)
	set(&r.CorrelationID, o.CorrelationID)
	set(&r.OutputURI, o.OutputURI)
	if r.OutputURI.Value != "" {
		r.OutputURI.Attempt = o.Attempt // each run has a place of its own
	}
}

func causeOf(o *Observation, life Life, at time.Time) CauseClaim {
	if Specificity(o.Cause.Cause) == 0 {
		return CauseClaim{}
	}
	c := CauseClaim{Life: life, OccurredAt: at, CauseDetail: o.Cause}
	for _, s := range []*string{&c.Message, &c.Reason, &c.Pod, &c.Container, &c.Node} {
		*s = Cut(*s, MaxMessageBytes)
	}
	return c
}

// cutTime keeps what Firestore keeps. UTC without a monotonic reading, so that
// equal moments are equal values.
func cutTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(Precision)
}

// Cut shortens text to at most limit bytes without splitting a character, and
// replaces what is not UTF-8, which neither protobuf nor Firestore would take. What
// it cuts is a copy: a part would keep the whole text in memory, and records that
// are remembered would hold the megabytes that they were cut from.
func Cut(s string, limit int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.Clone(s[:limit])
}

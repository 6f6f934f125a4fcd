package job

import "time"

// Life is one life of a job: an attempt and, within it, the leg. The fields
// order lives from the most significant to the least.
type Life struct {
	Attempt int32
	Ordinal int32
	Stage   string
	// CreatedAt and UID are those of the Kubernetes Job; zero outside Kubernetes.
	CreatedAt time.Time
	UID       string
}

// Status is the claim that speaks for a job; the zero value means none yet.
type Status struct {
	Life
	State      State
	Evidence   Evidence
	StageDone  bool
	OccurredAt time.Time
	Generation int64
	Detail     string
}

func (s *Status) final() bool { return Final(s.State, s.Evidence) }

// CauseClaim is why a life fails; the zero value means unknown.
type CauseClaim struct {
	Life
	OccurredAt time.Time
	CauseDetail
}

// Mark is a flag that counts only while nothing later is known of its
// attempt; the zero value means never set.
type Mark struct {
	Life
	OccurredAt time.Time
	Set        bool
	// Reason is why the job waits or, of a vanished Job, the last state seen.
	Reason string
}

// Described is the value of a descriptive field with what decided for it; the
// zero value means none.
type Described struct {
	Value string
	// Attempt is set where the value belongs to a run and not to the whole job:
	// that of a later run holds. 0 for what does not change with a rerun.
	Attempt int32
	// SourceRank orders sources by how well they know the job; 1 is the best.
	SourceRank int32
	OccurredAt time.Time
}

// KubernetesClaim is the Kubernetes Job of an attempt, that of its furthest
// stage; the zero value means none.
type KubernetesClaim struct {
	Attempt int32
	Ordinal int32
	Stage   string
	Kubernetes
}

// Start is the earliest moment that is known of the latest attempt; the zero
// value means none. Output older than it is that of an earlier run.
type Start struct {
	Attempt int32
	At      time.Time
}

// Record is everything that is known of a job. Its zero value knows nothing,
// and merging with it changes nothing. Compare records with Equal.
type Record struct {
	JobID         string
	Status        Status
	Cause         CauseClaim
	Delayed       Mark
	Vanished      Mark
	Owner         Described
	Tenant        Described
	CorrelationID Described
	OutputURI     Described
	Kubernetes    KubernetesClaim
	Started       Start
}

// Join merges everything that other knows into r and reports whether r
// changed. It is associative, commutative and idempotent.
func (r *Record) Join(other *Record) bool { return merge.join(r, other) }

// Equal reports whether two records know the same.
func (r *Record) Equal(other *Record) bool {
	return r.JobID == other.JobID &&
		merge.status.compare(&r.Status, &other.Status) == 0 &&
		merge.cause.compare(&r.Cause, &other.Cause) == 0 &&
		merge.mark.compare(&r.Delayed, &other.Delayed) == 0 &&
		merge.mark.compare(&r.Vanished, &other.Vanished) == 0 &&
		merge.described.compare(&r.Owner, &other.Owner) == 0 &&
		merge.described.compare(&r.Tenant, &other.Tenant) == 0 &&
		merge.described.compare(&r.CorrelationID, &other.CorrelationID) == 0 &&
		merge.described.compare(&r.OutputURI, &other.OutputURI) == 0 &&
		merge.kubernetes.compare(&r.Kubernetes, &other.Kubernetes) == 0 &&
		merge.start.compare(&r.Started, &other.Started) == 0
}

func (m *rules) join(dst, src *Record) bool {
	changed := dst.JobID == "" && src.JobID != ""
	if changed {
		dst.JobID = src.JobID
	}
	// No short cut between the terms: each register must be merged.
	changed = m.status.max(&dst.Status, &src.Status) || changed
	changed = m.cause.max(&dst.Cause, &src.Cause) || changed
	changed = m.mark.max(&dst.Delayed, &src.Delayed) || changed
	changed = m.mark.max(&dst.Vanished, &src.Vanished) || changed
	changed = m.described.max(&dst.Owner, &src.Owner) || changed
	changed = m.described.max(&dst.Tenant, &src.Tenant) || changed
	changed = m.described.max(&dst.CorrelationID, &src.CorrelationID) || changed
	changed = m.described.max(&dst.OutputURI, &src.OutputURI) || changed
	changed = m.kubernetes.max(&dst.Kubernetes, &src.Kubernetes) || changed
	changed = m.start.max(&dst.Started, &src.Started) || changed
	return changed
}

package timeline

// Version tells whether a job's timeline may have changed.
type Version struct {
	// Tenant is that of the job's record, "" without one.
	Tenant string
	// Found is false when nothing is on record.
	Found bool
	// Over says that the job has ended.
	Over bool
	// Text differs from that of another version unless nothing has changed.
	Text string
	// Record is the part of Text that the job's record makes.
	Record string
	// Progress says that what was stored last only tells how far a phase is.
	Progress bool
}

// OnlyProgress reports whether, as far as one look tells, nothing is new since another
// version but how far phases are. What was stored in the same moment as progress may
// be taken for it.
func (v *Version) OnlyProgress(since *Version) bool { return v.Progress && v.Record == since.Record }

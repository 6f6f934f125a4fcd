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
}

package logsink

// Counts is what a sink has done so far. At any time
//
//	Passed + Repeated = Lost + Published + Discarded + Pending
type Counts struct {
	// Events and Lines are what was read: Events that are new or have changed,
	// and lines of files (pieces of those that were cut).
	Events, Lines int
	// FilteredOut did not pass the filter; Refused would have, but Cloud Logging
	// does not take such an entry (too large, or its time is out of bounds).
	FilteredOut, Refused int
	// Passed passed the filter.
	Passed int
	// Lost were dropped on purpose, Repeated are second copies made on purpose.
	Lost, Repeated int
	// Published are messages that Pub/Sub confirmed; Discarded those it refuses.
	Published, Discarded int
	// Pending messages wait for their time or for Pub/Sub.
	Pending int
	// Retries are publish requests that failed and were sent again: their
	// messages may have arrived twice.
	Retries int
	// Gaps are the times that the watch of Events had to begin anew; what
	// happened meanwhile was not exported.
	Gaps int
}

// Counts returns the counts.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	counts.Pending = s.queue.len() + s.inFlight
	return counts
}

func (s *Sink) count(update func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	update(&s.counts)
}

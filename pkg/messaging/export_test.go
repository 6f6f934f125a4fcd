package messaging

// Seated is how many messages wait at a gate of their own.
func (s *Subscriber) Seated() int { return len(s.seats) }

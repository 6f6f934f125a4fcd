package messaging

import "errors"

// HeldBy marks err as the fault of a dependency that only some messages of a
// subscription need, and that has a gate of its own. While that gate is broken
// the message waits at it in hand, as at Config.Gate, for as long as it takes,
// and the others go on. At most half of Config.MaxOutstanding may wait so: what
// finds no room is nacked. nil stays nil.
func HeldBy(gate Gate, err error) error {
	if err == nil {
		return nil
	}
	return &held{gate: gate, err: err}
}

type held struct {
	gate Gate
	err  error
}

// Error is the text of the marked error, unchanged.
func (h *held) Error() string { return h.err.Error() }

// Unwrap gives errors.Is and errors.As the marked error.
func (h *held) Unwrap() error { return h.err }

// gateOf is the gate that holds back who met err; own says that it is the
// error's, and not that of all messages. It is nil without either.
func (s *Subscriber) gateOf(err error) (gate Gate, own bool) {
	if h, ok := errors.AsType[*held](err); ok {
		return h.gate, true
	}
	return s.cfg.Gate, false
}

// seat is a message's place among those that wait at a gate of their own.
type seat struct {
	all   chan struct{}
	taken bool
}

// take reports whether the message has a place.
func (s *seat) take() bool {
	if s.taken {
		return true
	}
	select {
	case s.all <- struct{}{}:
		s.taken = true
	default:
	}
	return s.taken
}

func (s *seat) leave() {
	if s.taken {
		<-s.all
	}
}

package notify

import (
	"fmt"
	"time"
)

// Parts of a notice that are sent one by one.
const (
	partNone   = ""
	partUpdate = "update"
	// PartMessage is the message itself, in Message.Ref.
	PartMessage = "message"
)

// Step is the next thing that a notice has to send.
type Step struct {
	// Part is PartMessage, a reply's name, or an update.
	Part string
	// Reply is the index of the sample that a reply shows.
	Reply int64
	// Revision and Count are what the notice knew when the step was made.
	Revision, Count int64
	// Search says that the part may have been sent already, at Since or later.
	Search bool
	Since  time.Time
}

// next says what to send, partNone when all is told. A sink cannot change the
// message of another one, so it begins with a message of its own; "" is any.
func (n *Notice) next(sink string) Step {
	step := Step{Revision: n.Revision, Count: n.Count}
	switch {
	case n.Slot.Sink == "", sink != "" && n.Slot.Sink != sink:
		step.Part = PartMessage
	case n.Replies < int64(len(n.Samples)):
		step.Reply = n.Replies
		step.Part = fmt.Sprintf("reply-%d", n.Replies)
	case n.ToldRevision < n.Revision:
		step.Part = partUpdate
	}
	return step
}

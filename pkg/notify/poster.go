package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Poster sends messages to a sink, such as Slack. Its errors are *SendError.
type Poster interface {
	// Name is the sink's name, kept with the messages that it took.
	Name() string
	// Post sends a message to a channel, into the thread of a message when
	// thread is not empty, and returns where it stands.
	Post(ctx context.Context, channel, thread string, m *Message) (Slot, error)
	// Update replaces the message at a slot.
	Update(ctx context.Context, slot Slot, m *Message) error
	// Find looks for a message by its Ref, among those at since or later.
	Find(ctx context.Context, channel, thread string, ref Ref, since time.Time) (slot Slot, found bool, err error)
}

// SendErrorKind says what a failed send means for the others.
type SendErrorKind string

// Kinds of failed sends.
const (
	// KindLimited means too many calls: the method rests for RetryAfter.
	KindLimited SendErrorKind = "limited"
	// KindDenied means that nothing can be sent until somebody mends the
	// configuration: a token that is not valid.
	KindDenied SendErrorKind = "denied"
	// KindChannel is the same for one channel.
	KindChannel SendErrorKind = "channel"
	// KindContent means that this message is refused for what it says.
	KindContent SendErrorKind = "content"
	// KindGone means that the message to change is not there any more.
	KindGone SendErrorKind = "gone"
	// KindUnsearchable means that the channel's messages may not be read.
	KindUnsearchable SendErrorKind = "unsearchable"
	// KindDown means that the sink did not answer, or not sensibly.
	KindDown SendErrorKind = "down"
)

// SendError is why a message was not sent, as far as is known.
type SendError struct {
	Kind SendErrorKind
	// Code is the sink's short name of the error, bounded in number.
	Code string
	// Remedy says what a person can do; "" for nothing.
	Remedy string
	// RetryAfter is how long to wait, with KindLimited.
	RetryAfter time.Duration
	// MaySent says that the message may have been taken all the same.
	MaySent bool
	// Err is the error of the client.
	Err error
}

// Error names the code and what the client said.
func (e *SendError) Error() string { return fmt.Sprintf("%s (%s): %v", e.Code, e.Kind, e.Err) }

// Unwrap returns the error of the client.
func (e *SendError) Unwrap() error { return e.Err }

// sendError makes any error one of those.
func sendError(err error) *SendError {
	if e, ok := errors.AsType[*SendError](err); ok {
		own := *e // the caller adds what it knows
		return &own
	}
	return &SendError{Kind: KindDown, Code: "unknown", MaySent: true, Err: err}
}

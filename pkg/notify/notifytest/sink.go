package notifytest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/notify"
)

// Posted is a message in the sink, as it stands.
type Posted struct {
	Channel, Thread, Timestamp string
	Message                    notify.Message
	Updates                    int
	At                         time.Time
}

// Call is one call of the sink.
type Call struct {
	// Name is "post", "update" or "find".
	Name    string
	Channel string
	Message *notify.Message
}

// Answer is how the sink meets a call.
type Answer struct {
	// Err is returned; nil is success.
	Err error
	// Done says that the call is carried out all the same.
	Done bool
}

// Sink is a notify.Poster in memory. The zero value is ready.
type Sink struct {
	mu     sync.Mutex
	posted []*Posted
	calls  map[string]int
	answer func(c Call) Answer
}

var _ notify.Poster = (*Sink)(nil)

// Answer makes calls meet what answer returns; nil ends that.
func (s *Sink) Answer(answer func(c Call) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Posted returns the messages of all channels, oldest first: those of threads,
// or the others.
func (s *Sink) Posted(threads bool) []Posted {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Posted
	for _, p := range s.posted {
		if (p.Thread != "") == threads {
			out = append(out, *p)
		}
	}
	return out
}

// Calls is how often a call was made.
func (s *Sink) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

// Clear deletes all messages, as people may.
func (s *Sink) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted = nil
}

// Name implements notify.Poster.
func (s *Sink) Name() string { return "sink" }

// Post implements notify.Poster.
func (s *Sink) Post(ctx context.Context, channel, thread string, m *notify.Message) (notify.Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := notify.Slot{Sink: s.Name(), Channel: channel, Timestamp: fmt.Sprintf("%d.%06d", time.Now().Unix(), len(s.posted))}
	err := s.meet(ctx, Call{"post", channel, m}, func() error {
		s.posted = append(s.posted, &Posted{
			Channel: channel, Thread: thread, Timestamp: slot.Timestamp, Message: *m, At: time.Now(),
		})
		return nil
	})
	return slot, err
}

// Update implements notify.Poster.
func (s *Sink) Update(ctx context.Context, slot notify.Slot, m *notify.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meet(ctx, Call{"update", slot.Channel, m}, func() error {
		for _, p := range s.posted {
			if p.Channel == slot.Channel && p.Timestamp == slot.Timestamp {
				p.Message = *m
				p.Updates++
				return nil
			}
		}
		return &notify.SendError{Kind: notify.KindGone, Code: "message_not_found"}
	})
}

// Find implements notify.Poster.
func (s *Sink) Find(ctx context.Context, channel, thread string, ref notify.Ref, since time.Time) (
	slot notify.Slot, found bool, err error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.meet(ctx, Call{"find", channel, nil}, func() error {
		for _, p := range s.posted {
			if p.Channel == channel && p.Thread == thread && p.Message.Ref == ref && !p.At.Before(since) {
				slot, found = notify.Slot{Sink: s.Name(), Channel: channel, Timestamp: p.Timestamp}, true
			}
		}
		return nil
	})
	return slot, found, err
}

func (s *Sink) meet(ctx context.Context, c Call, do func() error) error {
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[c.Name]++
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("call %s: %w", c.Name, err)
	}
	var a Answer
	if s.answer != nil {
		a = s.answer(c)
	}
	if a.Err != nil && !a.Done {
		return a.Err
	}
	if err := do(); err != nil {
		return err
	}
	return a.Err
}

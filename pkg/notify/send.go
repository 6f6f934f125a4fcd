package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// sender brings the sink in line with the store, one call at a time.
type sender struct {
	*Notifier

	poster Poster
	gate   *gate
	// said are the refusals that were logged, by channel ("" for the token), so
	// that each is logged once until it ends; blind are those of searches.
	said, blind map[string]string
}

func newSender(n *Notifier, p Poster) *sender {
	return &sender{Notifier: n, poster: p, gate: newGate(n.cfg.NewPerMinute), said: map[string]string{}, blind: map[string]string{}}
}

// pageSize is how many pending notices are looked at in a pass.
const pageSize = 200

// leaseBeyond is how much longer a claim lasts than the calls it is for: a
// search and a post, and the commit of their end.
const leaseBeyond = 15 * time.Second

func (s *sender) lease() time.Duration { return 2*s.cfg.SlackTimeout + leaseBeyond }

// pass is what one look at the store came to.
type pass struct {
	// next is when it is worth to look again; zero when nothing is pending.
	next time.Time
	// left is how many notices should have been sent and were not.
	left int
}

func (p *pass) at(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}

// run makes one pass over what is pending.
func (s *sender) run(ctx context.Context) (pass, error) {
	var p pass
	pending, err := s.store.Pending(ctx, pageSize)
	if err != nil {
		return p, fmt.Errorf("list pending notices: %w", err)
	}
	s.observe(pending)
	for i := range pending {
		n := &pending[i]
		now := s.now()
		if !s.takes(n) || ctx.Err() != nil {
			continue
		}
		if n.DueAt.After(now) {
			p.at(n.DueAt)
			if n.Attempts > 0 || n.Claim.Until.After(now) {
				p.left++
			}
			continue
		}
		again, err := s.tell(ctx, n)
		if err != nil {
			return p, fmt.Errorf("notice %s: %w", n.ID, err)
		}
		if !again.at.IsZero() {
			p.at(again.at)
		}
		if again.left {
			p.left++
		}
	}
	return p, context.Cause(ctx)
}

// takes reports whether this process sends the notice: the log takes only what
// names no channel.
func (s *sender) takes(n *Notice) bool { return s.cfg.Enabled() || n.Channel == "" }

// target is where the sink is to put the notice.
func (s *sender) target(n *Notice) string {
	if n.Channel == "" {
		return s.channel
	}
	return n.Channel
}

func (s *sender) observe(pending []Notice) {
	var oldest time.Duration
	for i := range pending {
		if since := pending[i].PendingSince; !since.IsZero() {
			oldest = max(oldest, s.now().Sub(since))
		}
	}
	s.metrics.pending.Set(float64(len(pending)))
	s.metrics.oldest.Set(oldest.Seconds())
}

// again is what a step leaves to do.
type again struct {
	// at is when to look at the notice next; zero when there is no need.
	at time.Time
	// left says that something ought to have been sent by now.
	left bool
}

// tell takes one notice a step further. Errors are the store's.
func (s *sender) tell(ctx context.Context, n *Notice) (again, error) {
	now := s.now()
	if !n.PendingSince.IsZero() && now.Sub(n.PendingSince) > s.cfg.MaxAge {
		return again{}, s.giveUp(ctx, n, abandonedAge)
	}
	channel := s.target(n)
	if until := s.gate.closedUntil(channel); until.After(now) {
		return again{until, true}, nil
	}
	// Whether there is room for one more kind is asked before there is a token.
	fresh := n.next(s.poster.Name()).Part == PartMessage && n.Kind == KindGroup && n.Doubt == ""
	if fresh && s.gate.channel(channel).fresh.TokensAt(now) < 1 {
		return again{now, true}, s.fold(ctx, n)
	}
	if at, ok := s.gate.take(channel, now); !ok {
		return again{at, true}, nil
	}
	claimed, step, ok, err := s.claim(ctx, n.ID)
	if err != nil || !ok {
		return again{}, err
	}
	if fresh {
		s.gate.channel(channel).fresh.AllowN(now, 1)
	}
	slot, sendErr := s.deliver(ctx, claimed, &step, channel)
	if sendErr == nil {
		s.gate.ok(channel)
		s.mended(channel)
		return s.settle(ctx, claimed, &step, slot)
	}
	return s.settleFailed(ctx, claimed, sendErr, channel)
}

// claim takes the notice as it stands now.
func (s *sender) claim(ctx context.Context, id string) (claimed *Notice, step Step, ok bool, err error) {
	err = s.store.Change(ctx, []string{id}, func(notices []*Notice) bool {
		n := notices[0]
		step, ok = n.claim(s.instance, s.poster.Name(), micro(s.now()), s.lease())
		copied := *n
		claimed = &copied
		return ok
	})
	if err != nil {
		return nil, step, false, fmt.Errorf("claim it: %w", err)
	}
	return claimed, step, ok, nil
}

// deliver makes the calls of a step. A message that may be there already is
// looked for first.
func (s *sender) deliver(ctx context.Context, n *Notice, step *Step, channel string) (Slot, *SendError) {
	m := compose(n, step)
	thread, name := "", callPost
	if step.Part == partUpdate {
		err := s.call(ctx, callUpdate, func(ctx context.Context) error { return s.poster.Update(ctx, n.Slot, &m) })
		return n.Slot, err
	}
	if step.Part != PartMessage {
		channel, thread, name = n.Slot.Channel, n.Slot.Timestamp, callReply
	}
	if step.Search {
		slot, found, err := s.find(ctx, channel, thread, &m.Ref, step)
		if found {
			// It shows what was known when it was sent, and is updated if that is less.
			step.Revision, step.Count = n.DoubtRevision, n.DoubtCount
		}
		if err != nil || found {
			return slot, err
		}
	}
	var slot Slot
	err := s.call(ctx, name, func(ctx context.Context) (err error) {
		slot, err = s.poster.Post(ctx, channel, thread, &m)
		return err
	})
	slot.Sink = s.poster.Name()
	return slot, err
}

// searchBefore covers clocks that differ from Slack's.
const searchBefore = 2 * time.Minute

func (s *sender) find(ctx context.Context, channel, thread string, ref *Ref, step *Step) (slot Slot, found bool, sendErr *SendError) {
	sendErr = s.call(ctx, callFind, func(ctx context.Context) (err error) {
		slot, found, err = s.poster.Find(ctx, channel, thread, *ref, step.Since.Add(-searchBefore))
		return err
	})
	switch {
	case sendErr != nil && sendErr.Kind == KindUnsearchable:
		// To post twice is better than not at all.
		s.metrics.blind.Inc()
		s.unsearched(channel, sendErr)
		return Slot{}, false, nil
	case sendErr != nil:
		sendErr.MaySent = true
		return Slot{}, false, sendErr
	case found:
		s.metrics.adopted.Inc()
		s.log.Info().Str("notice_id", ref.Notice).Str("part", ref.Part).Msg("message was in Slack already, its answer had been lost")
		slot.Sink = s.poster.Name()
	}
	delete(s.blind, channel)
	return slot, found, nil
}

// call makes one call with its own deadline. The end of the process does not
// cut it off: a call that is on its way has mostly been taken.
func (s *sender) call(ctx context.Context, name string, fn func(context.Context) error) *SendError {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.SlackTimeout)
	defer cancel()
	begin := s.now()
	err := fn(ctx)
	s.metrics.seconds.WithLabelValues(name).Observe(s.now().Sub(begin).Seconds())
	if err == nil {
		s.metrics.calls.WithLabelValues(name, resultOK).Inc()
		return nil
	}
	failed := sendError(err)
	s.metrics.calls.WithLabelValues(name, string(failed.Kind)).Inc()
	return failed
}

// about is the log with what tells a notice.
func (s *sender) about(n *Notice) *zerolog.Logger {
	log := s.log.With().Str("notice_id", n.ID).Str("channel", n.Channel).Int64("count", n.Count).Logger()
	return &log
}

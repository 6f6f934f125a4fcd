package notify

import (
	"context"
	"fmt"
)

// settle records that a step was sent.
func (s *sender) settle(ctx context.Context, n *Notice, step *Step, slot Slot) (again, error) {
	var after Notice
	err := s.change(ctx, n, func(now *Notice) {
		now.told(step, slot, micro(s.now()), &s.rules)
		after = *now
	})
	if err != nil {
		// The claim runs out, and the next one finds the message by its metadata.
		return again{}, fmt.Errorf("record that %s was sent: %w", step.Part, err)
	}
	if step.Part == PartMessage {
		s.metrics.delay.Observe(max(0, s.now().Sub(n.PendingSince).Seconds()))
		s.about(n).Info().Str("kind", n.Kind).Str("slack_timestamp", slot.Timestamp).Msg("notice posted")
	} else {
		s.about(n).Debug().Str("part", step.Part).Msg("notice updated")
	}
	// An update that waits for its time is nothing that a process that ends waits for.
	return again{after.DueAt, after.State == StateOpen && !after.DueAt.After(s.now())}, nil
}

// settleFailed records why a step was not sent.
func (s *sender) settleFailed(ctx context.Context, n *Notice, failure *SendError, channel string) (again, error) {
	now := s.now()
	until := s.gate.failed(channel, failure, now)
	switch failure.Kind {
	case KindGone:
		s.about(n).Info().Str("code", failure.Code).Msg("message was deleted; what is new makes a new one")
		return again{now, true}, s.change(ctx, n, func(n *Notice) { n.gone(micro(now), &s.rules) })
	case KindContent:
		if n.Plain {
			return again{}, s.giveUp(ctx, n, abandonedContent)
		}
		s.about(n).Warn().Err(failure).Msg("Slack refuses the message as it is; sending its text alone")
		return again{now, true}, s.change(ctx, n, func(n *Notice) {
			n.failed(failure, micro(now), micro(now))
			n.Plain = true
		})
	case KindDenied:
		s.refused("", failure)
	case KindChannel:
		s.refused(channel, failure)
	default:
		s.about(n).Warn().Err(failure).Int64("attempts", n.Attempts+1).Time("next_attempt", until).
			Msg("notice was not sent and stays on record")
	}
	due := until
	if failure.Kind != KindLimited {
		due = later(until, now.Add(retry(n.Attempts)))
	}
	return again{due, true}, s.change(ctx, n, func(n *Notice) { n.failed(failure, micro(now), micro(due)) })
}

// change alters a notice that this process has claimed. When the claim ran out
// meanwhile and another process took it, nothing is done: that one finds out by
// itself what was sent.
func (s *sender) change(ctx context.Context, claimed *Notice, alter func(n *Notice)) error {
	// The end of the process must not leave a sent message without its place.
	ctx = context.WithoutCancel(ctx)
	lost := false
	err := s.store.Change(ctx, []string{claimed.ID}, func(notices []*Notice) bool {
		if lost = !notices[0].Claim.is(claimed.Claim); lost {
			return false
		}
		alter(notices[0])
		return true
	})
	if lost {
		s.about(claimed).Warn().Msg("another process took the notice over, as this one was too slow")
	}
	return err //nolint:wrapcheck // the caller says what it was for
}

// fold gives a new kind, for which there is no room, to the channel's summary.
func (s *sender) fold(ctx context.Context, n *Notice) error {
	summary := hash(KindSummary, n.Channel)
	folded := false
	err := s.store.Change(ctx, []string{summary, n.ID}, func(notices []*Notice) bool {
		sum, group, now := notices[0], notices[1], micro(s.now())
		folded = group.State == StateOpen && group.Slot == (Slot{}) && group.Doubt == "" && !group.Claim.Until.After(now)
		if folded {
			sum.Channel = n.Channel
			sum.fold(group, now, &s.rules)
		}
		return folded
	})
	if err != nil {
		return fmt.Errorf("fold it into a summary: %w", err)
	}
	if folded {
		s.metrics.folded.Inc()
		s.about(n).Info().Str("summary_id", summary).Msg("too many new kinds: notice is summed up with others")
		s.nudge()
	}
	return nil
}

// giveUp abandons a notice.
func (s *sender) giveUp(ctx context.Context, n *Notice, reason string) error {
	done := false
	err := s.store.Change(ctx, []string{n.ID}, func(notices []*Notice) bool {
		now := notices[0]
		if done = now.State == StateOpen && now.Revision == n.Revision; done {
			now.abandon(n.LastError)
		}
		return done
	})
	if err != nil {
		return fmt.Errorf("abandon it: %w", err)
	}
	if done {
		s.metrics.abandoned.WithLabelValues(reason).Inc()
		s.about(n).Error().Str("title", n.Title).Str("reason", reason).Str("last_error", n.LastError).
			Int64("untold", n.Count-n.Told).Int64("attempts", n.Attempts).Msg("notice is given up")
	}
	return nil
}

// refused says once what a person has to do.
func (s *sender) refused(what string, err *SendError) {
	s.metrics.denied.Set(1)
	if s.said[what] == err.Code {
		return
	}
	s.said[what] = err.Code
	s.log.Error().Err(err).Str("channel", what).Str("code", err.Code).Str("remedy", err.Remedy).
		Msg("Slack refuses notices; they stay on record")
}

// unsearched says once for each channel that it may not be searched: notices are
// posted all the same, but one whose answer was lost may stand there twice.
func (s *sender) unsearched(channel string, err *SendError) {
	if s.blind[channel] == err.Code {
		return
	}
	s.blind[channel] = err.Code
	s.log.Warn().Err(err).Str("channel", channel).Str("code", err.Code).Str("remedy", err.Remedy).
		Msg("Slack does not let the channel be searched; what may have been posted is posted again")
}

// mended forgets refusals that have ended.
func (s *sender) mended(channel string) {
	for _, what := range []string{"", channel} {
		if s.said[what] != "" {
			delete(s.said, what)
			s.log.Info().Str("channel", what).Msg("Slack takes notices again")
		}
	}
	if len(s.said) == 0 {
		s.metrics.denied.Set(0)
	}
}

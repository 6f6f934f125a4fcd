package notify

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// LogPoster writes notices into the log, for when there is no Slack: one line
// for each message; updates and details are only counted.
type LogPoster struct{ log zerolog.Logger }

var _ Poster = (*LogPoster)(nil)

// NewLogPoster returns a poster that writes to log.
func NewLogPoster(log zerolog.Logger) *LogPoster { return &LogPoster{log: log} }

// sinkLog is its name. It takes only notices that name no channel.
const sinkLog = "log"

// Name implements Poster.
func (p *LogPoster) Name() string { return sinkLog }

// Post implements Poster.
func (p *LogPoster) Post(_ context.Context, _, thread string, m *Message) (Slot, error) {
	if thread == "" {
		p.log.Warn().Str("notice_id", m.Ref.Notice).Str("title", m.Title).Strs("sections", m.Sections).
			Str("link", m.Link).Msg("notice (Slack is not configured)")
	}
	return Slot{Sink: sinkLog, Timestamp: m.Ref.Notice}, nil
}

// Update implements Poster.
func (p *LogPoster) Update(_ context.Context, _ Slot, m *Message) error {
	p.log.Debug().Str("notice_id", m.Ref.Notice).Str("text", m.Fallback(false)).Msg("notice updated")
	return nil
}

// Find implements Poster: a line that may have been written is written again.
func (p *LogPoster) Find(context.Context, string, string, Ref, time.Time) (Slot, bool, error) {
	return Slot{}, false, nil
}

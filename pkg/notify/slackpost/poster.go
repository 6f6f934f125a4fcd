package slackpost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/slack-go/slack"

	"github.com/envision/resiliency/pkg/notify"
)

// sink is the name that messages in Slack are kept under.
const sink = "slack"

// eventType marks the metadata of our messages.
const eventType = "resiliency_notice"

// Poster is a notify.Poster for Slack. It is safe for concurrent use.
type Poster struct {
	api *slack.Client

	mu sync.Mutex
	// ids are channel ids by the name that was posted to.
	ids map[string]string
}

var _ notify.Poster = (*Poster)(nil)

// New returns a poster for the configuration: to Slack, or into log when there
// is no token. It makes no call; errors are those of reading the token.
func New(cfg *notify.Config, log zerolog.Logger) (notify.Poster, error) {
	if !cfg.Enabled() {
		log.Warn().Msg("no Slack token is configured: notices go to the log")
		return notify.NewLogPoster(log), nil
	}
	token := cfg.SlackToken
	if cfg.SlackTokenFile != "" {
		text, err := os.ReadFile(cfg.SlackTokenFile)
		if err != nil {
			return nil, fmt.Errorf("read Slack token: %w", err)
		}
		if token = strings.TrimSpace(string(text)); token == "" {
			return nil, fmt.Errorf("read Slack token: %s is empty", cfg.SlackTokenFile)
		}
	}
	opts := []slack.Option{slack.OptionHTTPClient(&http.Client{
		Timeout: cfg.SlackTimeout,
		// A token must not follow a redirect to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})}
	if cfg.SlackAPIURL != "" {
		opts = append(opts, slack.OptionAPIURL(strings.TrimRight(cfg.SlackAPIURL, "/")+"/"))
	}
	return &Poster{api: slack.New(token, opts...), ids: map[string]string{}}, nil
}

// Name implements notify.Poster.
func (p *Poster) Name() string { return sink }

// Post implements notify.Poster.
func (p *Poster) Post(ctx context.Context, channel, thread string, m *notify.Message) (notify.Slot, error) {
	options := append(content(m), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	id, timestamp, err := p.api.PostMessageContext(ctx, channel, options...)
	if err != nil {
		return notify.Slot{}, classify("post to "+channel, err)
	}
	p.mu.Lock()
	p.ids[channel] = id
	p.mu.Unlock()
	return notify.Slot{Sink: sink, Channel: id, Timestamp: timestamp}, nil
}

// Update implements notify.Poster.
func (p *Poster) Update(ctx context.Context, slot notify.Slot, m *notify.Message) error {
	options := content(m)
	if m.Plain {
		// Without an empty list, Slack keeps the blocks of before.
		options = append(options, slack.MsgOptionBlocks([]slack.Block{}...))
	}
	if _, _, _, err := p.api.UpdateMessageContext(ctx, slot.Channel, slot.Timestamp, options...); err != nil {
		return classify("update "+slot.Timestamp+" in "+slot.Channel, err)
	}
	return nil
}

// idForm is the form of a channel's id, which alone can be searched.
var idForm = regexp.MustCompile(`^[A-Z][A-Z0-9]+$`)

// Bounds of a search.
const (
	searchPage  = 200
	searchPages = 5
)

// Find implements notify.Poster.
func (p *Poster) Find(ctx context.Context, channel, thread string, ref notify.Ref, since time.Time) (notify.Slot, bool, error) {
	id, ok := p.id(channel)
	if !ok {
		return notify.Slot{}, false, &notify.SendError{
			Kind: notify.KindUnsearchable, Code: "channel_by_name", Err: errors.New("only a channel's id can be searched"),
			Remedy: "Set SLACK_CHANNEL to the channel's id (channel details, at the bottom).",
		}
	}
	oldest, cursor := strconv.FormatInt(since.Unix(), 10)+".000000", ""
	for range searchPages {
		messages, next, err := p.page(ctx, id, thread, oldest, cursor)
		if err != nil {
			failure := classify("search "+channel, err)
			if failure.Code == "missing_scope" || failure.Code == "no_permission" {
				failure.Kind, failure.Remedy = notify.KindUnsearchable, remedySearch
			}
			return notify.Slot{}, false, failure
		}
		for i := range messages {
			if matches(&messages[i], ref) {
				return notify.Slot{Sink: sink, Channel: id, Timestamp: messages[i].Timestamp}, true, nil
			}
		}
		if cursor = next; cursor == "" {
			return notify.Slot{}, false, nil
		}
	}
	return notify.Slot{}, false, nil
}

func (p *Poster) page(ctx context.Context, channel, thread, oldest, cursor string) ([]slack.Message, string, error) {
	if thread != "" {
		messages, _, next, err := p.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: searchPage, IncludeAllMetadata: true,
		})
		return messages, next, err //nolint:wrapcheck // classified by the caller
	}
	page, err := p.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
		ChannelID: channel, Oldest: oldest, Cursor: cursor, Limit: searchPage, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err //nolint:wrapcheck // classified by the caller
	}
	return page.Messages, page.ResponseMetaData.NextCursor, nil
}

// id is the id of a channel, if it is one or has been posted to by its name.
func (p *Poster) id(channel string) (string, bool) {
	if idForm.MatchString(channel) {
		return channel, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.ids[channel]
	return id, ok
}

// metadata is what a message is found by.
func metadata(ref notify.Ref) slack.SlackMetadata {
	return slack.SlackMetadata{EventType: eventType, EventPayload: map[string]any{
		"notice": ref.Notice, "window": strconv.FormatInt(ref.Window, 10), "part": ref.Part,
	}}
}

func matches(m *slack.Message, ref notify.Ref) bool {
	if m.Metadata.EventType != eventType {
		return false
	}
	want, got := metadata(ref).EventPayload, m.Metadata.EventPayload
	for key := range want {
		if got[key] != want[key] {
			return false
		}
	}
	return true
}

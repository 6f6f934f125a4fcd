package slackfake_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/envision/resiliency/test/stack/slackfake"
)

func start(t *testing.T) (*slackfake.Server, *slack.Client) {
	t.Helper()
	server := slackfake.Start()
	t.Cleanup(server.Close)
	return server, slack.New("token", slack.OptionAPIURL(server.URL()))
}

func TestServer_keeps_messages_threads_and_updates(t *testing.T) {
	t.Parallel()
	server, client := start(t)
	if _, err := client.AuthTestContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed := server.Changed()
	channel, first, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionText("one", false))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("Changed did not tell of the message")
	}
	_, second, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionText("two", false), slack.MsgOptionTS(first))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.PostMessageContext(t.Context(), "C2", slack.MsgOptionText("three", false)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := client.UpdateMessageContext(t.Context(), channel, first, slack.MsgOptionText("one, twice", false)); err != nil {
		t.Fatal(err)
	}
	want := []slackfake.Message{
		{Channel: "C1", Timestamp: first, Text: "one, twice", Edits: 1},
		{Channel: "C1", Timestamp: second, ThreadTimestamp: first, Text: "two"},
	}
	if diff := cmp.Diff(want, server.Messages("C1")); diff != "" {
		t.Errorf("messages of C1 (-want +got):\n%s", diff)
	}
	if got := len(server.Messages("")); got != 3 {
		t.Errorf("messages of all channels: %d, want 3", got)
	}
	if _, _, _, err := client.UpdateMessageContext(t.Context(), "C1", "1.1", slack.MsgOptionText("x", false)); err == nil {
		t.Error("update of a message that does not exist succeeded")
	}
}

func TestServer_limits_rates(t *testing.T) {
	t.Parallel()
	server, client := start(t)
	server.AddFault(slackfake.Fault{Method: "chat.postMessage", RetryAfter: 3 * time.Second, Times: 1})
	_, _, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionText("one", false))
	var limited *slack.RateLimitedError
	if !errors.As(err, &limited) || limited.RetryAfter != 3*time.Second {
		t.Errorf("error %v, want a rate limit of 3 s", err)
	}
	if _, _, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionText("one", false)); err != nil {
		t.Errorf("after the limit: %v", err)
	}
	if got := server.Calls("chat.postMessage"); got != 2 {
		t.Errorf("calls counted: %d, want 2", got)
	}
}

func TestServer_fails_and_delays(t *testing.T) {
	t.Parallel()
	server, client := start(t)
	post := func(ctx context.Context) error {
		_, _, err := client.PostMessageContext(ctx, "C1", slack.MsgOptionText("one", false))
		return err
	}
	server.AddFault(slackfake.Fault{Error: "channel_not_found", Times: 1})
	server.AddFault(slackfake.Fault{Status: 503, Times: 1})
	server.AddFault(slackfake.Fault{Delay: time.Hour})
	if err := post(t.Context()); err == nil || err.Error() != "channel_not_found" {
		t.Errorf("error %v, want channel_not_found", err)
	}
	if err := post(t.Context()); err == nil {
		t.Error("a 503 is no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := post(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a deadline", err)
	}
	server.ClearFaults()
	if err := post(t.Context()); err != nil {
		t.Errorf("after ClearFaults: %v", err)
	}
	if got := len(server.Messages("C1")); got != 1 {
		t.Errorf("messages: %d, want only the last", got)
	}
}

func TestServer_keeps_the_limits_of_messages(t *testing.T) {
	t.Parallel()
	_, client := start(t)
	plain := func(n int) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, strings.Repeat("x", n), false, false)
	}
	many := make([]slack.Block, 51)
	for i := range many {
		many[i] = slack.NewDividerBlock()
	}
	for name, blocks := range map[string][]slack.Block{
		"too many blocks": many,
		"long header":     {slack.NewHeaderBlock(plain(151))},
		"long section":    {slack.NewSectionBlock(plain(3001), nil, nil)},
		"long field":      {slack.NewSectionBlock(nil, []*slack.TextBlockObject{plain(2001)}, nil)},
		"empty text":      {slack.NewSectionBlock(plain(0), nil, nil)},
	} {
		if _, _, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionBlocks(blocks...)); err == nil || err.Error() != "invalid_blocks" {
			t.Errorf("%s: error %v, want invalid_blocks", name, err)
		}
	}
	if _, _, err := client.PostMessageContext(t.Context(), "C1"); err == nil || err.Error() != "no_text" {
		t.Errorf("error %v, want no_text", err)
	}
}

func TestServer_pages_through_history(t *testing.T) {
	t.Parallel()
	_, client := start(t)
	var first string
	for i := range 5 {
		_, ts, err := client.PostMessageContext(t.Context(), "C1", slack.MsgOptionText(strings.Repeat("x", i+1), false),
			slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "e", EventPayload: map[string]any{"n": i}}))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = ts
		}
	}
	var got []string
	params := &slack.GetConversationHistoryParameters{ChannelID: "C1", Oldest: first, Limit: 3, IncludeAllMetadata: true}
	for {
		page, err := client.GetConversationHistoryContext(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			if m.Metadata.EventType != "e" {
				t.Errorf("message without its metadata: %+v", m)
			}
			got = append(got, m.Text)
		}
		if params.Cursor = page.ResponseMetaData.NextCursor; params.Cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"xxxxx", "xxxx", "xxx", "xx"}, got); diff != "" {
		t.Errorf("history after the first message (-want +got):\n%s", diff)
	}
}

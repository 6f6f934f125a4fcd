package slackpost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"github.com/slack-go/slack"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBlocks_keep_the_limits(t *testing.T) {
	t.Parallel()
	m := notify.Message{Title: strings.Repeat("<", 400), Link: "https://example.com/?a=1&b=2"}
	for i := range 120 {
		m.Sections = append(m.Sections, strings.Repeat("&", 4000))
		m.Fields = append(m.Fields, notify.Field{Name: fmt.Sprint(i), Value: strings.Repeat(">", 3000)})
		m.Notes = append(m.Notes, "n")
	}
	m.Notes = m.Notes[:2]
	got := blocks(&m)
	if len(got) > limitBlocks {
		t.Errorf("%d blocks", len(got))
	}
	total := 0
	for _, b := range got {
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		switch b := b.(type) {
		case *slack.HeaderBlock:
			total += within(t, b.Text, limitHeader)
		case *slack.SectionBlock:
			if b.Text != nil {
				total += within(t, b.Text, limitText)
			}
			if len(b.Fields) > limitFields {
				t.Errorf("%d fields", len(b.Fields))
			}
			for _, f := range b.Fields {
				total += within(t, f, limitField)
			}
		case *slack.ContextBlock:
			if !strings.Contains(string(text), "Open the page") {
				t.Errorf("no link: %s", text)
			}
		}
	}
	if total > limitMessage+100 {
		t.Errorf("%d characters of text", total)
	}
	if _, last := got[len(got)-1].(*slack.ContextBlock); !last {
		t.Error("the notes did not find room")
	}
}

func within(t *testing.T, o *slack.TextBlockObject, limit int) int {
	t.Helper()
	n := utf8.RuneCountInString(o.Text)
	if n == 0 || n > limit || o.Type != slack.PlainTextType {
		t.Errorf("%s of %d characters, at most %d are taken", o.Type, n, limit)
	}
	return n
}

func TestFit_escapes_defangs_and_cuts_between_characters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		limit    int
	}{
		{"a <b> & c", "a &lt;b&gt; &amp; c", 100},
		{"<!channel> <@U123> @here a@b.example", "&lt;!channel&gt; &lt;@\u200bU123&gt; @\u200bhere a@\u200bb.example", 100},
		{"see https://x.example and HTTP://y.example", "see hxxps://x.example and hxxp://y.example", 100},
		{"&&&&", "&amp;…", 10},
		{"", "-", 10},
		{strings.Repeat("ü", 20), strings.Repeat("ü", 9) + "…", 10},
	} {
		if got := fit(c.in, c.limit); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
	if got, want := link("https://a.example/?x=1&y=<2>|z"), "<https://a.example/?x=1&amp;y=%3C2%3E%7Cz|Open the page>"; got != want {
		t.Errorf("link %q, want %q", got, want)
	}
}

func FuzzFit(f *testing.F) {
	f.Add("<!here> & @a http://x", 20)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(2, limit%4000)
		got := fit(strings.ToValidUTF8(s, "?"), limit)
		if n := utf8.RuneCountInString(got); n == 0 || n > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "<>") {
			t.Errorf("fit(%q, %d) = %q", s, limit, got)
		}
	})
}

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, c := range []struct {
		err     error
		kind    notify.SendErrorKind
		code    string
		maySent bool
		remedy  bool
	}{
		{&slack.RateLimitedError{RetryAfter: 7}, notify.KindLimited, "ratelimited", false, false},
		{slack.SlackErrorResponse{Err: "ratelimited"}, notify.KindLimited, "ratelimited", false, false},
		{slack.SlackErrorResponse{Err: "invalid_auth"}, notify.KindDenied, "invalid_auth", false, true},
		{slack.SlackErrorResponse{Err: "channel_not_found"}, notify.KindChannel, "channel_not_found", false, true},
		{slack.SlackErrorResponse{Err: "msg_too_long"}, notify.KindContent, "msg_too_long", false, false},
		{slack.SlackErrorResponse{Err: "message_not_found"}, notify.KindGone, "message_not_found", false, false},
		{slack.SlackErrorResponse{Err: "fatal_error"}, notify.KindDown, "other", true, false},
		{slack.StatusCodeError{Code: 503}, notify.KindDown, "http_5xx", true, false},
		{slack.StatusCodeError{Code: 429}, notify.KindLimited, "ratelimited", false, false},
		{slack.StatusCodeError{Code: 404}, notify.KindDown, "http_other", false, true},
		{fmt.Errorf("post: %w", dial), notify.KindDown, "unreachable", false, false},
		{context.DeadlineExceeded, notify.KindDown, "timeout", true, false},
		{errors.New("EOF"), notify.KindDown, "no_answer", true, false},
	} {
		got := classify("post", c.err)
		if got.Kind != c.kind || got.Code != c.code || got.MaySent != c.maySent || (got.Remedy != "") != c.remedy || !strings.Contains(got.Error(), c.err.Error()) {
			t.Errorf("%v: %+v, want %+v", c.err, got, c)
		}
		if got.Kind == notify.KindLimited && got.RetryAfter <= 0 {
			t.Errorf("%v: a limit without a rest", c.err)
		}
	}
}

func TestNew_reads_the_token(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		cfg  notify.Config
		name string
		bad  bool
	}{
		{notify.Config{}, "log", false},
		{notify.Config{SlackToken: "t"}, "slack", false},
		{notify.Config{SlackTokenFile: write("token", "t\n")}, "slack", false},
		{notify.Config{SlackTokenFile: write("empty", "\n")}, "", true},
		{notify.Config{SlackTokenFile: filepath.Join(dir, "missing")}, "", true},
	} {
		p, err := New(&c.cfg, zerolog.Nop())
		if (err != nil) != c.bad || err == nil && p.Name() != c.name {
			t.Errorf("%+v: poster %v, error %v", c.cfg, p, err)
		}
	}
}

func TestFind_needs_an_id(t *testing.T) {
	t.Parallel()
	p, err := New(&notify.Config{SlackToken: "t"}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.Find(t.Context(), "#alerts", "", notify.Ref{}, time.Now())
	failure, ok := errors.AsType[*notify.SendError](err)
	if !ok || failure.Kind != notify.KindUnsearchable || failure.Remedy == "" {
		t.Errorf("error %v, want that a name cannot be searched", err)
	}
}

package notify_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/notify"
)

func TestMessage_says_what_is_known(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		f := fact("a", "1")
		f.At = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
		f.Title = "Job\nevents  do not decode"
		f.Sections = []string{"password=hunter2 in \u202ereversed", ""}
		f.Fields = []notify.Field{{Name: "Subscription", Value: "job-events-status-updater"}, {Name: "Empty"}}
		f.Detail = "token " + "ghp_" + strings.Repeat("a1", 20) + " \xff"
		r.note(f)
		elapse(soon)
		want := notify.Message{
			Title:    "Job events do not decode",
			Sections: []string{"password=REDACTED in reversed"},
			Fields: []notify.Field{
				{Name: "Subscription", Value: "job-events-status-updater"},
				{Name: "Count", Value: "1"}, {Name: "First seen", Value: "2026-11-21 10:00:00 UTC"},
			},
			Link: "https://dlq.example.com/base/letters?fingerprint=a",
			Ref:  notify.Ref{Notice: r.store.Notices()[0].ID, Part: "message"},
		}
		if diff := cmp.Diff(want, r.sink.Posted(false)[0].Message); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		want = notify.Message{
			Sections: []string{"token REDACTED \uFFFD"}, Notes: []string{"2026-11-21 10:00:00 UTC"},
			Link: "https://dlq.example.com/base/letters/1",
			Ref:  notify.Ref{Notice: r.store.Notices()[0].ID, Part: "reply-0"},
		}
		if diff := cmp.Diff(want, r.sink.Posted(true)[0].Message); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
	})
}

func TestMessage_is_bounded(t *testing.T) {
	t.Parallel()
	bubble(t, slackConfig(), func(t *testing.T, r *rig) {
		f := fact("a", "1")
		f.Title = strings.Repeat("é", 1000)
		f.Detail = strings.Repeat("ü", 100_000)
		for range 100 {
			f.Sections = append(f.Sections, strings.Repeat("x", 10_000))
			f.Fields = append(f.Fields, notify.Field{Name: strings.Repeat("n", 1000), Value: strings.Repeat("v", 10_000)})
		}
		f.Link, f.DetailLink = "javascript:alert(1)", "https://user:pw@example.com/"
		r.note(f)
		elapse(soon)
		m := r.sink.Posted(false)[0].Message
		if n := utf8.RuneCountInString(m.Title); n > 150 || len(m.Sections) > 20 || len(m.Fields) > 25 || m.Link != "" {
			t.Errorf("title of %d characters, %d sections, %d fields, link %q", n, len(m.Sections), len(m.Fields), m.Link)
		}
		reply := r.sink.Posted(true)[0].Message
		if n := utf8.RuneCountInString(reply.Sections[0]); n > 2000 || !utf8.ValidString(reply.Sections[0]) || reply.Link != "" {
			t.Errorf("reply of %d characters, link %q", n, reply.Link)
		}
	})
}

func TestFallback(t *testing.T) {
	t.Parallel()
	m := notify.Message{Title: "T", Sections: []string{"S"}, Fields: []notify.Field{{Name: "Count", Value: "3"}, {Name: "X", Value: "y"}}, Notes: []string{"N"}}
	if got := m.Fallback(false); got != "T\nCount: 3" {
		t.Errorf("short: %q", got)
	}
	if got := m.Fallback(true); got != "T\nS\nCount: 3\nX: y\nN" {
		t.Errorf("full: %q", got)
	}
	if got := (&notify.Message{Notes: []string{"N"}}).Fallback(false); got != "N" {
		t.Errorf("only notes: %q", got)
	}
}

package slackfake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
	"github.com/envision/resiliency/pkg/notify/slackpost"
	"github.com/envision/resiliency/test/stack/slackfake"
)

// told is a notifier that posts to a stand-in of its own.
type told struct {
	*notify.Notifier

	t      *testing.T
	server *slackfake.Server
	store  *notifytest.Store
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// channel is one channel's id.
const channel = "C0LOCAL"

func tell(t *testing.T, faults ...slackfake.Fault) *told {
	t.Helper()
	server := slackfake.Start()
	t.Cleanup(server.Close)
	for _, f := range faults {
		server.AddFault(f)
	}
	cfg := notify.Config{
		SlackToken: "xoxb-local", SlackChannel: channel, SlackAPIURL: server.URL(), SlackTimeout: time.Second,
		PublicURL: "http://127.0.0.1:8080", FlushEvery: 20 * time.Millisecond, UpdateEvery: 100 * time.Millisecond,
	}
	d := &told{t: t, server: server, store: &notifytest.Store{}, log: &lockedBuffer{}}
	log := zerolog.New(d.log)
	poster, err := slackpost.New(&cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	d.Notifier, err = notify.New(cfg, notify.Parts{
		Store: d.store, Poster: poster, Instance: "i", Registerer: prometheus.NewRegistry(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return d
}

func (d *told) note(kind, key string) {
	d.t.Helper()
	err := d.Note(d.t.Context(), &notify.Fact{
		Key: key, Fingerprint: kind, Detail: "<!channel> & <b>" + key + "</b> @here http://evil.example",
		Content: notify.Content{Title: "Kind <" + kind + ">", Sections: []string{"<@U1> password=hunter2"}, Link: "/letters?a=1&b=2"},
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// await returns the messages once they are as wanted.
func (d *told) await(what string, ok func([]slackfake.Message) bool) []slackfake.Message {
	d.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		changed := d.server.Changed()
		messages := d.server.Messages(channel)
		if ok(messages) {
			return messages
		}
		select {
		case <-changed:
		case <-limit:
			d.t.Fatalf("no %s in time; messages: %+v\n%s", what, messages, d.log)
		}
	}
}

// split counts messages and replies.
func split(messages []slackfake.Message) (top, replies int) {
	for _, m := range messages {
		if m.ThreadTimestamp == "" {
			top++
		} else {
			replies++
		}
	}
	return top, replies
}

func complete(want int) func([]slackfake.Message) bool {
	return func(messages []slackfake.Message) bool {
		top, replies := split(messages)
		return top == want && replies == want
	}
}

func TestNotify_posts_updates_and_replies(t *testing.T) {
	t.Parallel()
	d := tell(t)
	for i := range 5 {
		d.note("a", fmt.Sprint(i))
	}
	messages := d.await("message that counts 5 with 3 details", func(m []slackfake.Message) bool {
		top, replies := split(m)
		return top == 1 && replies == 3 && strings.Contains(m[0].Blocks, `Count\n5`)
	})
	main := messages[0]
	for _, bad := range []string{"<@", "<!", "hunter2", "Kind <"} {
		for _, m := range messages {
			var blocks bytes.Buffer
			if err := json.Compact(&blocks, []byte(m.Blocks)); err != nil {
				t.Fatal(err)
			}
			var decoded any
			if err := json.Unmarshal([]byte(m.Blocks), &decoded); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(m.Text+fmt.Sprint(decoded), bad) {
				t.Errorf("message shows %q: %s %s", bad, m.Text, m.Blocks)
			}
		}
	}
	if !strings.Contains(main.Text, "Kind &lt;a&gt;") || !strings.Contains(main.Text, "<http://127.0.0.1:8080/letters?a=1&amp;b=2|") {
		t.Errorf("fallback text %q", main.Text)
	}
	if !strings.Contains(main.Metadata, "resiliency_notice") || main.Edits == 0 || messages[1].ThreadTimestamp != main.Timestamp {
		t.Errorf("messages %+v", messages)
	}
	if strings.Contains(messages[1].Blocks, "http://evil") || !strings.Contains(messages[1].Blocks, "hxxp://evil") {
		t.Errorf("reply leads elsewhere: %s", messages[1].Blocks)
	}
}

func TestNotify_lost_answers_double_nothing(t *testing.T) {
	t.Parallel()
	d := tell(t, slackfake.Fault{Method: "chat.postMessage", Lost: true, Times: 2})
	d.note("a", "1")
	d.await("message and reply", complete(1))
	// The next fact passes through the same worker: what it was to repeat is over.
	d.note("b", "1")
	d.await("second message", complete(2))
	if got := d.server.Calls("chat.postMessage"); got != 4 {
		t.Errorf("%d posts for two messages and two replies", got)
	}
}

func TestNotify_survives_what_Slack_answers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]slackfake.Fault{
		"limited":       {RetryAfter: 2 * time.Second},
		"error 500":     {Status: http.StatusInternalServerError},
		"internal":      {Error: "internal_error"},
		"hangs":         {Delay: time.Hour},
		"blocks":        {Error: "invalid_blocks"},
		"is a bad page": {Status: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Method, fault.Times = "chat.postMessage", 1
			d := tell(t, fault)
			begin := time.Now()
			d.note("a", "1")
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("the caller waited %s", took)
			}
			d.await("message", complete(1))
			if fault.RetryAfter > 0 && time.Since(begin) < fault.RetryAfter {
				t.Errorf("Slack asked for %s and got %s", fault.RetryAfter, time.Since(begin))
			}
		})
	}
}

func TestNotify_posts_again_where_it_may_not_search(t *testing.T) {
	t.Parallel()
	d := tell(t, slackfake.Fault{Method: "chat.postMessage", Lost: true, Times: 1},
		slackfake.Fault{Method: "conversations.history", Error: "missing_scope"})
	d.note("a", "1")
	d.await("the message twice", func(m []slackfake.Message) bool { top, replies := split(m); return top == 2 && replies == 1 })
	if !strings.Contains(d.log.String(), "channels:history") {
		t.Errorf("the log does not name the scope:\n%s", d.log)
	}
}

func TestNotify_a_refused_token_is_said_with_its_remedy(t *testing.T) {
	t.Parallel()
	d := tell(t, slackfake.Fault{Error: "invalid_auth"})
	d.note("a", "1")
	d.note("b", "1") // the caller goes on
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(d.log.String(), "SLACK_TOKEN") {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no remedy in the log:\n%s", d.log)
		}
	}
	if pending, err := d.store.Pending(t.Context(), 10); err != nil || len(pending) != 2 {
		t.Errorf("pending %+v, error %v, want both on record", pending, err)
	}
}

func TestServer_lists_messages(t *testing.T) {
	t.Parallel()
	d := tell(t)
	d.note("a", "1")
	d.await("message", complete(1))
	resp, err := http.Get(d.server.URL() + "messages?channel=" + channel)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var messages []slackfake.Message
	if err := json.NewDecoder(resp.Body).Decode(&messages); err != nil || len(messages) != 2 {
		t.Errorf("messages %+v, error %v", messages, err)
	}
}

// Package slackfake is a Slack API server for tests and local runs: slack-go's
// own test server, with what that lacks: rate limits with Retry-After, failures
// and delays on demand, lost answers, chat.update, threads, metadata and the
// history of a channel, Block Kit's limits, and a record of every message.
//
// It never checks tokens and keeps everything in memory. Beside Slack's methods
// it answers GET messages, all messages as JSON (?channel= for one channel), for
// people and clients outside the process.
package slackfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/slack-go/slack/slacktest"
)

// Message is one message as it stands now, updates applied.
type Message struct {
	// Channel and Timestamp together identify it, as in Slack.
	Channel   string `json:"channel"`
	Timestamp string `json:"ts"`
	// ThreadTimestamp is the message that this one answers, "" for none.
	ThreadTimestamp string `json:"thread_ts,omitempty"`
	Text            string `json:"text"`
	// Blocks is the message's block kit JSON, as sent.
	Blocks string `json:"blocks,omitempty"`
	// Metadata is the message's metadata JSON, as sent.
	Metadata string `json:"metadata,omitempty"`
	// Edits counts chat.update calls.
	Edits int `json:"edits"`
}

// Server is a running stand-in. Use Start.
type Server struct {
	test    *slacktest.Server
	closing chan struct{}

	mu       sync.Mutex
	messages []*Message
	faults   []*Fault
	calls    map[string]int
	last     int64
	changed  chan struct{} // closed and replaced at every change of messages
}

// Start starts the server on a free loopback port.
func Start() *Server {
	s := &Server{calls: map[string]int{}, changed: make(chan struct{}), closing: make(chan struct{})}
	s.test = slacktest.NewTestServer(func(c slacktest.Customize) {
		c.Handle("/chat.postMessage", s.faulty("chat.postMessage", s.post))
		c.Handle("/chat.update", s.faulty("chat.update", s.update))
		c.Handle("/auth.test", s.faulty("auth.test", s.auth))
		c.Handle("/conversations.history", s.faulty("conversations.history", s.history))
		c.Handle("/conversations.replies", s.faulty("conversations.replies", s.history))
		c.Handle("/messages", s.list)
	})
	s.test.Start()
	return s
}

// URL is the base of the API with a closing slash, the value for SLACK_API_URL.
func (s *Server) URL() string { return s.test.GetAPIURL() }

// Close ends the server, and the calls that a fault delays. It is called once.
func (s *Server) Close() {
	close(s.closing)
	s.test.Stop()
}

// Messages returns the messages of a channel, oldest first; all for "".
func (s *Server) Messages(channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Message
	for _, m := range s.messages {
		if channel == "" || m.Channel == channel {
			found = append(found, *m)
		}
	}
	return found
}

// Changed is closed at the next message or update. Take it before looking at
// Messages, so that nothing falls between.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Calls is how often a method was called, faulty answers included.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	if form.Get("channel") == "" {
		answer(w, map[string]any{"ok": false, "error": "channel_not_found"})
		return
	}
	if wrong := check(form); wrong != "" {
		answer(w, map[string]any{"ok": false, "error": wrong})
		return
	}
	s.mu.Lock()
	m := &Message{
		Channel: form.Get("channel"), Timestamp: s.timestamp(), ThreadTimestamp: form.Get("thread_ts"),
		Text: form.Get("text"), Blocks: form.Get("blocks"), Metadata: form.Get("metadata"),
	}
	s.messages = append(s.messages, m)
	s.notify()
	s.mu.Unlock()
	answer(w, map[string]any{"ok": true, "channel": m.Channel, "ts": m.Timestamp})
}

func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	if wrong := check(form); wrong != "" {
		answer(w, map[string]any{"ok": false, "error": wrong})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.Channel == form.Get("channel") && m.Timestamp == form.Get("ts") {
			m.Text = form.Get("text")
			if form.Has("blocks") {
				m.Blocks = form.Get("blocks") // without, Slack keeps those of before
			}
			if form.Has("metadata") {
				m.Metadata = form.Get("metadata")
			}
			m.Edits++
			s.notify()
			answer(w, map[string]any{"ok": true, "channel": m.Channel, "ts": m.Timestamp, "text": m.Text})
			return
		}
	}
	answer(w, map[string]any{"ok": false, "error": "message_not_found"})
}

func (s *Server) auth(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"ok": true, "url": s.URL(), "team": "local", "user": "resiliency", "team_id": "T0", "user_id": "U0"})
}

// timestamp gives each message an id in Slack's form, seconds and a counter.
// Called with the lock held, as notify is.
func (s *Server) timestamp() string {
	s.last++
	return fmt.Sprintf("%d.%06d", time.Now().Unix(), s.last)
}

func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// answer writes JSON; a client that went away meanwhile is no matter.
func answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

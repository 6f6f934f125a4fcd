// Package slackfake is a Slack API server for tests and local runs: slack-go's
// own test server, with what that lacks: rate limits with Retry-After, failures
// and delays on demand, chat.update, and a record of every message by channel.
//
// It never checks tokens and keeps everything in memory.
package slackfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
	// Edits counts chat.update calls.
	Edits int `json:"edits"`
}

// Fault is what calls meet instead of, or before, an answer.
type Fault struct {
	// Method is the API method, "chat.postMessage"; empty means every one.
	Method string
	// Times is how many calls meet it; 0 means all until ClearFaults.
	Times int
	// Delay comes before anything else.
	Delay time.Duration
	// RetryAfter answers 429 with that header, in whole seconds (0 s: none).
	RetryAfter time.Duration
	// Status answers with this HTTP status and no body of Slack's.
	Status int
	// Error answers 200 with ok=false and this error, as Slack mostly does.
	Error string
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

// AddFault puts a fault behind those already set; the first that matches a call
// is what it meets.
func (s *Server) AddFault(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault)
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// take returns the fault that a call meets, nil for none.
func (s *Server) take(method string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	for i, f := range s.faults {
		if f.Method != "" && f.Method != method {
			continue
		}
		fault := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return &fault
	}
	return nil
}

func (s *Server) faulty(method string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Read before any delay: the server notices a client that goes away only
		// once the body is read.
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fault := s.take(method)
		if fault == nil {
			next(w, r)
			return
		}
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
		switch {
		case fault.RetryAfter > 0:
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
			w.WriteHeader(http.StatusTooManyRequests)
			answer(w, map[string]any{"ok": false, "error": "ratelimited"})
		case fault.Status != 0:
			w.WriteHeader(fault.Status)
		case fault.Error != "":
			answer(w, map[string]any{"ok": false, "error": fault.Error})
		default:
			next(w, r)
		}
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	if form.Get("channel") == "" {
		answer(w, map[string]any{"ok": false, "error": "channel_not_found"})
		return
	}
	s.mu.Lock()
	m := &Message{
		Channel: form.Get("channel"), Timestamp: s.timestamp(), ThreadTimestamp: form.Get("thread_ts"),
		Text: form.Get("text"), Blocks: form.Get("blocks"),
	}
	s.messages = append(s.messages, m)
	s.notify()
	s.mu.Unlock()
	answer(w, map[string]any{"ok": true, "channel": m.Channel, "ts": m.Timestamp})
}

func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.Channel == form.Get("channel") && m.Timestamp == form.Get("ts") {
			m.Text, m.Blocks = form.Get("text"), form.Get("blocks")
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

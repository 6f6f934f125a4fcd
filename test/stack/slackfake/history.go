package slackfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// history answers conversations.history, and conversations.replies when the
// call names a thread: the messages after oldest, in pages.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	channel, thread, oldest := form.Get("channel"), form.Get("ts"), form.Get("oldest")
	limit, _ := strconv.Atoi(form.Get("limit"))
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	from, _ := strconv.Atoi(form.Get("cursor"))
	found := s.Messages(channel)
	found = slices.DeleteFunc(found, func(m Message) bool {
		if thread == "" && m.ThreadTimestamp != "" || thread != "" && m.ThreadTimestamp != thread && m.Timestamp != thread {
			return true
		}
		return oldest != "" && m.Timestamp <= oldest && m.Timestamp != thread
	})
	if thread == "" {
		slices.Reverse(found) // the newest first, as Slack has it
	}
	from = min(max(from, 0), len(found))
	page := found[from:min(from+limit, len(found))]
	next := ""
	if from+len(page) < len(found) {
		next = strconv.Itoa(from + len(page))
	}
	messages := make([]map[string]any, len(page))
	for i, m := range page {
		messages[i] = map[string]any{"type": "message", "ts": m.Timestamp, "text": m.Text, "thread_ts": m.ThreadTimestamp}
		if m.Metadata != "" && form.Get("include_all_metadata") == "1" {
			messages[i]["metadata"] = json.RawMessage(m.Metadata)
		}
	}
	answer(w, map[string]any{
		"ok": true, "messages": messages, "has_more": next != "", "response_metadata": map[string]any{"next_cursor": next},
	})
}

// list answers GET messages.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	messages := s.Messages(r.URL.Query().Get("channel"))
	if messages == nil {
		messages = []Message{}
	}
	_ = json.NewEncoder(w).Encode(messages) // a client that went away is no matter
}

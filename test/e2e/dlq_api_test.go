//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// letter is what dlq-handler's API says of one; see its README.
type letter struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	Subscription string `json:"subscription"`
	Type         string `json:"type"`
	EventID      string `json:"event_id"`
	JobID        string `json:"job_id"`
	Attempts     int    `json:"attempts"`
	Reason       string `json:"reason"`
	Category     string `json:"category"`
	Dependency   string `json:"dependency"`
	Fingerprint  string `json:"fingerprint"`
	Count        int    `json:"count"`
	PayloadSize  int    `json:"payload_size"`
	PayloadURI   string `json:"payload_uri"`
	Episode      int    `json:"episode"`
	Replays      int    `json:"replays"`
	LastError    string `json:"last_error"`
	Cleanup      struct {
		Action string `json:"action"`
		Text   string `json:"text"`
	} `json:"cleanup"`
	Pending []string `json:"pending"`
	Detail  struct {
		Payload    []byte `json:"payload_base64"`
		Attributes []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"attributes"`
		Decoded string `json:"decoded"`
		History []struct {
			What   string `json:"what"`
			Who    string `json:"who"`
			Reason string `json:"reason"`
		} `json:"history"`
	} `json:"detail"`
}

// attribute is the value of one of the message's own attributes.
func (l *letter) attribute(key string) string {
	for _, a := range l.Detail.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// happened is what happened to the letter, in order.
func (l *letter) happened() []string {
	list := make([]string, len(l.Detail.History))
	for i, e := range l.Detail.History {
		list[i] = e.What
	}
	return list
}

// refusal is how the API says no.
type refusal struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Remedy  string `json:"remedy"`
	} `json:"error"`
}

// answer is one answer of a service.
type answer struct {
	status int
	body   []byte
}

// code is that of a refusal.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var r refusal
	if err := json.Unmarshal(a.body, &r); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if r.Error.Message == "" {
		t.Errorf("refusal %s says nothing to people", r.Error.Code)
	}
	return r.Error.Code
}

// ask calls the public API of dlq-handler; body nil sends none. An error means
// that no answer came.
func (s *system) ask(method, path string, body any) (a answer, err error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return a, err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.services[handler].URL()+path, reader)
	if err != nil {
		return a, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Close = true // an idle connection would outlive the test
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	a.status = response.StatusCode
	a.body, err = io.ReadAll(response.Body)
	return a, err
}

// must asks and expects the status; into takes the JSON of the answer, if not nil.
func (s *system) must(method, path string, body any, status int, into any) answer {
	s.t.Helper()
	a, err := s.ask(method, path, body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.status != status {
		s.t.Fatalf("%s %s answers %d, want %d: %s", method, path, a.status, status, a.body)
	}
	if into == nil {
		return a
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		s.t.Fatalf("%s %s answers %s: %v", method, path, a.body, err)
	}
	return a
}

// listed are all letters that match, page by page; the query names the state.
func (s *system) listed(query url.Values) []letter {
	s.t.Helper()
	var all []letter
	query.Set("limit", "200")
	for {
		var page struct {
			Letters []letter `json:"letters"`
			Next    string   `json:"next_cursor"`
		}
		s.must(http.MethodGet, "/api/letters?"+query.Encode(), nil, http.StatusOK, &page)
		all = append(all, page.Letters...)
		if page.Next == "" {
			return all
		}
		query.Set("cursor", page.Next)
	}
}

// awaitLetter waits until a letter about a job satisfies the condition, and
// returns it with its detail.
func (s *system) awaitLetter(jobID, what string, holds func(*letter) bool) letter {
	s.t.Helper()
	var found letter
	s.eventually("letter of "+jobID+" "+what, func() (bool, string) {
		list := s.listed(url.Values{"state": {"ANY"}, "job_id": {jobID}})
		if len(list) == 0 {
			return false, "none"
		}
		found = list[0]
		return holds(&found), fmt.Sprintf("%s, episode %d, pending %v, clean-up %q", found.State, found.Episode, found.Pending, found.Cleanup.Action)
	})
	return s.open(found.ID)
}

// open reads one letter with its detail.
func (s *system) open(id string) (l letter) {
	s.t.Helper()
	s.must(http.MethodGet, "/api/letters/"+id, nil, http.StatusOK, &l)
	return l
}

// finished says that everything that follows the storing of a letter is done.
func finished(l *letter) bool { return l.State == "OPEN" && len(l.Pending) == 0 }

// order is a replay by filter.
type order struct {
	Filter     map[string]string `json:"filter"`
	Rate       float64           `json:"rate,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	DryRun     bool              `json:"dry_run,omitempty"`
	ConfirmAll bool              `json:"confirm_all,omitempty"`
}

// preview is what a dry run tells.
type preview struct {
	Matched           int      `json:"matched"`
	Sends             int      `json:"sends"`
	NeedsConfirmation bool     `json:"needs_confirmation"`
	Sample            []letter `json:"sample"`
}

// operation is a replay by filter as it goes on.
type operation struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Matched  int    `json:"matched"`
	Replayed int    `json:"replayed"`
	Skipped  int    `json:"skipped"`
	Failed   int    `json:"failed"`
	Done     int    `json:"done"`
	Error    string `json:"last_error"`
}

// replayAll starts a replay by filter, waits for its end, and returns what was
// seen of its progress on the way.
func (s *system) replayAll(o order) (end operation, progress []int) {
	s.t.Helper()
	s.must(http.MethodPost, "/api/replays", o, http.StatusAccepted, &end)
	id := end.ID
	s.eventually("operation "+id+" to end", func() (bool, string) {
		s.must(http.MethodGet, "/api/operations/"+id, nil, http.StatusOK, &end)
		if !slices.Contains(progress, end.Done) {
			progress = append(progress, end.Done)
		}
		return end.State != "RUNNING", fmt.Sprintf("%+v", end)
	})
	return end, progress
}

// quietly is a wait during which nothing may happen: what must not come does
// not come while d passes.
func (s *system) quietly(d time.Duration, what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); pass(s.t, 100*time.Millisecond) {
		if !holds() {
			s.t.Fatalf("%s within %s", what, d)
		}
	}
}

// values are conditions as a query.
func values(filter map[string]string) url.Values {
	v := url.Values{}
	for name, value := range filter {
		v.Set(name, value)
	}
	return v
}

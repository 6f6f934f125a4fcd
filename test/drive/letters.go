package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Letters asks dlq-handler for dead letters, as an operator's program does.
type Letters struct {
	// URL is the base of its API, without a closing slash.
	URL string
}

// Letter is what a caller reads of a dead letter.
type Letter struct {
	ID           string   `json:"id"`
	State        string   `json:"state"`
	Subscription string   `json:"subscription"`
	JobID        string   `json:"job_id"`
	Category     string   `json:"category"`
	Reason       string   `json:"reason"`
	Pending      []string `json:"pending"`
	// Detail is set by Open alone.
	Detail struct {
		Payload []byte `json:"payload_base64"`
		Decoded string `json:"decoded"`
	} `json:"detail"`
}

// Replay is a replay by filter that has ended.
type Replay struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Replayed int    `json:"replayed"`
	Skipped  int    `json:"skipped"`
	Failed   int    `json:"failed"`
	Error    string `json:"last_error"`
}

// List returns the newest letters that meet the conditions, 200 at most. Without
// a state those are open ones.
func (l Letters) List(ctx context.Context, conditions map[string]string) ([]Letter, error) {
	query := url.Values{"limit": {"200"}}
	for name, value := range conditions {
		query.Set(name, value)
	}
	var page struct {
		Letters []Letter `json:"letters"`
	}
	err := l.call(ctx, http.MethodGet, "/api/letters?"+query.Encode(), nil, &page)
	return page.Letters, err
}

// Open returns one letter with its detail.
func (l Letters) Open(ctx context.Context, id string) (letter Letter, err error) {
	err = l.call(ctx, http.MethodGet, "/api/letters/"+url.PathEscape(id), nil, &letter)
	return letter, err
}

// Replay sends all open letters that meet the conditions once more, and returns
// when that is done.
func (l Letters) Replay(ctx context.Context, conditions map[string]string, reason string) (r Replay, err error) {
	order := map[string]any{"filter": conditions, "reason": reason, "rate": 50}
	if err := l.call(ctx, http.MethodPost, "/api/replays", order, &r); err != nil {
		return r, err
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for r.State == "RUNNING" {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return r, fmt.Errorf("wait for replay %s: %w", r.ID, context.Cause(ctx))
		}
		if err := l.call(ctx, http.MethodGet, "/api/operations/"+url.PathEscape(r.ID), nil, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (l Letters) call(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, l.URL+path, reader)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Close = true // an idle connection would outlive the stack
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

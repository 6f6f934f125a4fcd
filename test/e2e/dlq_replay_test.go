//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// Filters that match nothing or everything get a clear answer, and so do many
// operators who replay one letter in the same moment: it is published once.
func TestReplayRequests(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "replays", updater)
	s.startHandler()
	const letters = 12
	for i := range letters {
		s.die(fact(fmt.Sprintf("r-%d", i), succeeded), "retryable", "the record kept changing")
	}
	s.awaitHandled(letters)

	nothing := order{Filter: map[string]string{"job_id": "nobody"}, Reason: "why not"}
	var dry preview
	s.must(http.MethodPost, "/api/replays", order{Filter: nothing.Filter, DryRun: true}, http.StatusOK, &dry)
	if dry.Matched != 0 || dry.NeedsConfirmation {
		t.Errorf("a filter that matches nothing: %+v", dry)
	}
	a := s.must(http.MethodPost, "/api/replays", nothing, http.StatusConflict, nil)
	if code := a.code(t); code != "matches_nothing" {
		t.Errorf("a filter that matches nothing is answered with %s", code)
	}
	a = s.must(http.MethodPost, "/api/replays", order{Filter: map[string]string{"fingerprnt": "x"}}, http.StatusBadRequest, nil)
	if code := a.code(t); code == "" {
		t.Error("a misspelt condition is refused without a code")
	}

	s.oneOfMany("r-0")

	everything := order{Reason: "all of them"}
	s.must(http.MethodPost, "/api/replays", order{DryRun: true}, http.StatusOK, &dry)
	if dry.Matched != letters-1 || !dry.NeedsConfirmation {
		t.Errorf("a filter that matches everything: %+v, want %d letters to be confirmed", dry, letters-1)
	}
	a = s.must(http.MethodPost, "/api/replays", everything, http.StatusConflict, nil)
	if code := a.code(t); code != "confirm_all" {
		t.Errorf("a filter that matches everything is answered with %s", code)
	}
	before := s.published()
	everything.ConfirmAll, everything.Rate = true, 100
	end, _ := s.replayAll(everything)
	if end.State != "DONE" || end.Replayed != letters-1 || s.published()-before != letters-1 {
		t.Errorf("operation ended as %+v, %d were published", end, s.published()-before)
	}
}

// published is how many messages have gone to job-events.
func (s *system) published() int64 {
	return shared.PubSub.Counts(s.ID).Published[topology.TopicJobEvents]
}

// oneOfMany has eight operators replay one letter at once.
func (s *system) oneOfMany(jobID string) {
	s.t.Helper()
	l := s.awaitLetter(jobID, "to be open", finished)
	before := s.published()
	outcomes := make([]string, 8)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() {
			a, err := s.ask(http.MethodPost, "/api/letters/"+l.ID+"/replay", map[string]string{"reason": "me first"})
			var result struct {
				Outcome string `json:"outcome"`
			}
			if err == nil && a.status == http.StatusOK {
				err = json.Unmarshal(a.body, &result)
			}
			if err != nil || a.status != http.StatusOK {
				s.t.Errorf("operator %d: %d %s, %v", i, a.status, a.body, err)
			}
			outcomes[i] = result.Outcome
		})
	}
	all.Wait()
	sent := 0
	for _, outcome := range outcomes {
		switch outcome {
		case "replayed":
			sent++
		case "already_replayed", "in_progress":
		default:
			s.t.Errorf("an operator is answered with %q", outcome)
		}
	}
	if n := s.published() - before; sent != 1 || n != 1 {
		s.t.Errorf("%d operators were told that they sent it and it was published %d times; want once", sent, n)
	}
}

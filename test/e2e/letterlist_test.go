//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/deadmail"
)

// keptLetters is how many are in the store when its list is asked for.
func keptLetters() int {
	if soak() {
		return 50_000
	}
	return 2000
}

// A page of the list reads as many documents as it has rows, and one to know
// whether there is another page, whatever the filter and however many there are:
// what Firestore bills, counted before it.
func TestListOfDeadLettersReadsOnePage(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "list")
	if err := deadmail.Fill(t.Context(), s.firestore, keptLetters(), time.Now()); err != nil {
		t.Fatal(err)
	}
	// It looks for nothing by itself, and waits for an emulator without indexes.
	s.startHandler("OPERATION_LEASE=1h", "AUTO_REPLAY_DEPENDENCIES=none", "FIRESTORE_TIMEOUT=1m")
	some := keptLetters()/2 + 7
	filters := map[string]map[string]string{
		"none":        {"state": "ANY"},
		"open":        {},
		"fingerprint": {"state": "ANY", "fingerprint": deadmail.Fingerprint(some)},
		"job":         {"state": "ANY", "job_id": deadmail.JobID(some)},
		"tenant":      {"state": "ANY", "tenant": deadmail.Tenant(some)},
		"several":     {"category": "retryable", "subscription": topology.SubscriptionJobLogEntriesStatusUpdater},
	}
	const size = 25
	for name, filter := range filters {
		query := values(filter)
		query.Set("limit", strconv.Itoa(size))
		for page := range 2 {
			next := s.expectReads(fmt.Sprintf("page %d with filter %s", page+1, name), query)
			if next == "" {
				break
			}
			query.Set("cursor", next)
		}
	}
}

// expectReads asks for a page until nothing else was read meanwhile: besides it
// the service reads by the clock. It returns the cursor of the next page.
func (s *system) expectReads(what string, query url.Values) (next string) {
	s.t.Helper()
	s.eventually(what+" to read no more than it shows", func() (bool, string) {
		var page struct {
			Letters []letter `json:"letters"`
			Next    string   `json:"next_cursor"`
		}
		shared.Firestore.ResetCounts(s.ID)
		s.must(http.MethodGet, "/api/letters?"+query.Encode(), nil, http.StatusOK, &page)
		reads := shared.Firestore.Counts(s.ID).Reads
		most := int64(len(page.Letters))
		if next = page.Next; next != "" {
			most++
		}
		if len(page.Letters) == 0 {
			s.t.Fatalf("%s is empty", what)
		}
		return len(reads) == 1 && reads["dead_letters"] <= most, fmt.Sprintf("%d rows, reads %v", len(page.Letters), reads)
	})
	return next
}

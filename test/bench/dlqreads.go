package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/deadmail"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

const (
	// readPages is how many pages of each filter are read, one after another.
	readPages = 2
	// readWalks is how often that is tried: the service also reads by the clock, so
	// a walk that cost more than it must is taken again, and the cheapest counts.
	readWalks = 3
	// someLetter is a replayed one that came by the events; filters ask for its like.
	someLetter = keptLetters/2 + 7
)

// letterFilter is one way to ask for letters.
type letterFilter struct {
	name   string
	caller string
	filter url.Values
}

// letterFilters are those that people use, and the worst of their combinations.
func letterFilters() []letterFilter {
	values := func(pairs ...string) url.Values {
		out := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			out.Set(pairs[i], pairs[i+1])
		}
		return out
	}
	return []letterFilter{
		{"none", operator, values("state", "ANY")},
		{"open", operator, values()},
		{"discarded", operator, values("state", "DISCARDED")},
		{"fingerprint", operator, values("state", "ANY", "fingerprint", deadmail.Fingerprint(someLetter))},
		{"job", operator, values("state", "ANY", "job_id", deadmail.JobID(someLetter))},
		{"subscription", operator, values("subscription", topology.SubscriptionJobLogEntriesStatusUpdater)},
		{"tenant", operator, values("tenant", deadmail.Tenant(someLetter))},
		{"all at once", operator, values("state", "REPLAYED", "fingerprint", deadmail.Fingerprint(someLetter),
			"subscription", topology.SubscriptionJobEventsStatusUpdater, "tenant", deadmail.Tenant(someLetter), "category", "retryable")},
		{"reader of two tenants", reader, values("state", "ANY")},
		{"reader of two tenants, fingerprint", reader, values("state", "ANY", "fingerprint", deadmail.Fingerprint(someLetter))},
	}
}

// readsPerRow returns how many documents are read for a row of the list, with
// the filter for which that is the most. A full page needs one more than it has,
// to know whether there is another.
func readsPerRow(ctx context.Context, s *stack.Stack, p *stack.Project, api *letterAPI, out io.Writer) (worst float64, err error) {
	for _, f := range letterFilters() {
		var rows, least int64
		for range readWalks {
			var reads int64
			if rows, reads, err = api.walk(ctx, s, p, f); err != nil {
				return 0, fmt.Errorf("filter %s: %w", f.name, err)
			}
			if least == 0 || reads < least {
				least = reads
			}
			if least*letterPage <= rows*(letterPage+1) {
				break
			}
		}
		if rows == 0 {
			return 0, fmt.Errorf("filter %s matches nothing, so it measures nothing", f.name)
		}
		perRow := float64(least) / float64(rows)
		fmt.Fprintf(out, "  %-34s  %d rows, %d reads: %.3f\n", f.name, rows, least, perRow)
		worst = max(worst, perRow)
	}
	return worst, nil
}

// walk reads some pages and returns their rows and what they cost, counted at
// the proxy over all collections.
func (a *letterAPI) walk(ctx context.Context, s *stack.Stack, p *stack.Project, f letterFilter) (rows, reads int64, err error) {
	values := url.Values{"limit": {strconv.Itoa(letterPage)}}
	maps.Copy(values, f.filter)
	s.Firestore.ResetCounts(p.ID)
	for range readPages {
		list, err := a.list(ctx, f.caller, values)
		if err != nil {
			return 0, 0, err
		}
		rows += int64(len(list.Letters))
		if list.Next == "" {
			break
		}
		values.Set("cursor", list.Next)
	}
	return rows, proxy.Total(s.Firestore.Counts(p.ID).Reads), nil
}

// letterList is what the measure reads of an answer.
type letterList struct {
	Letters []json.RawMessage `json:"letters"`
	Next    string            `json:"next_cursor"`
}

func (a *letterAPI) list(ctx context.Context, caller string, values url.Values) (letterList, error) {
	body, err := a.get(ctx, caller, "/api/letters?"+values.Encode())
	if err != nil {
		return letterList{}, err
	}
	var list letterList
	if err := json.Unmarshal(body, &list); err != nil {
		return letterList{}, fmt.Errorf("decode a page of letters: %w", err)
	}
	return list, nil
}

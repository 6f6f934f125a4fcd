package web

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
	shared "github.com/envision/resiliency/pkg/web"
)

const (
	defaultPage = 50
	maxValue    = 256 // bytes of one value of a filter
	// anyState asks for letters of every state; without a state it is the open ones.
	anyState = "ANY"
)

// query is what a caller asks for, as text: the one form of it in addresses,
// forms and JSON. Empty means not asked for.
type query struct {
	State        string `json:"state"`
	Fingerprint  string `json:"fingerprint"`
	Category     string `json:"category"`
	Dependency   string `json:"dependency"`
	Subscription string `json:"subscription"`
	JobID        string `json:"job_id"`
	Tenant       string `json:"tenant"`
	From         string `json:"from"`
	To           string `json:"to"`
}

// fields are the names and places of all values.
func (q *query) fields() map[string]*string {
	return map[string]*string{
		"state": &q.State, "fingerprint": &q.Fingerprint, "category": &q.Category, "dependency": &q.Dependency,
		"subscription": &q.Subscription, "job_id": &q.JobID, "tenant": &q.Tenant, "from": &q.From, "to": &q.To,
	}
}

// readQuery takes the filter from values. A name that is neither of the filter
// nor one of also is refused: a misspelt condition must not choose everything.
func readQuery(values url.Values, also ...string) (query, error) {
	var q query
	fields := q.fields()
	for name, given := range values {
		if len(given) > 1 {
			return q, shared.BadRequest("bad_filter", fmt.Sprintf("%q is given more than once.", name), "Give each condition once.")
		}
		if field, ok := fields[name]; ok {
			*field = strings.TrimSpace(given[0])
		} else if !slices.Contains(also, name) {
			return q, shared.BadRequest("bad_filter", fmt.Sprintf("%q is not a condition of the filter.", name),
				"The conditions are state, fingerprint, category, dependency, subscription, job_id, tenant, from and to.")
		}
	}
	return q, nil
}

// Values is the query for an address, without what is empty.
func (q *query) Values() url.Values {
	out := url.Values{}
	for name, value := range q.fields() {
		if *value != "" {
			out.Set(name, *value)
		}
	}
	return out
}

// Encode is the query as a part of an address, in a fixed order.
func (q *query) Encode() string { return q.Values().Encode() }

// everything reports whether no condition but of time or state restricts it.
func (q *query) everything() bool {
	return q.Fingerprint == "" && q.Category == "" && q.Dependency == "" && q.Subscription == "" && q.JobID == "" && q.Tenant == ""
}

// filter is the query in the store's terms, without the caller's tenants. It
// writes the state in capitals, as it is.
func (q *query) filter() (letters.Filter, error) {
	q.State = strings.ToUpper(q.State)
	for name, value := range q.fields() {
		if err := plain(name, *value, maxValue); err != nil {
			return letters.Filter{}, err
		}
	}
	f := letters.Filter{
		State: letters.StateOpen, Fingerprint: q.Fingerprint, Category: resilience.Category(q.Category),
		Dependency: q.Dependency, Subscription: q.Subscription, JobID: q.JobID,
	}
	switch state := letters.State(q.State); {
	case state == anyState:
		f.State = ""
	case slices.Contains(letters.States(), state):
		f.State = state
	case state != "":
		return f, badFilter("state", q.State, "OPEN, REPLAYING, REPLAYED, DISCARDED or ANY")
	}
	if f.Category != "" && !slices.Contains(categories(), f.Category) {
		return f, badFilter("category", q.Category, "permanent, retryable or dependency")
	}
	var err error
	if f.From, err = readTime("from", q.From); err != nil {
		return f, err
	}
	if f.To, err = readTime("to", q.To); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return f, shared.BadRequest("bad_filter", "The time from is not before the time to.", "Exchange them, or leave one out.")
	}
	return f, nil
}

func categories() []resilience.Category {
	return []resilience.Category{resilience.CategoryPermanent, resilience.CategoryRetryable, resilience.CategoryDependency}
}

func badFilter(name, value, wanted string) error {
	return shared.BadRequest("bad_filter", fmt.Sprintf("%s is %q, which it cannot be.", name, value), "Give "+wanted+".")
}

// readTime reads a time as people, programs and the forms of browsers write it,
// in UTC where it does not say.
func readTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		// Firestore knows the years 1 to 9999.
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, badFilter(name, text, "a time such as 2026-11-21T20:00:00Z or 2026-11-21")
}

// writeTime is a time as readTime reads it, "" for none.
func writeTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// plain refuses what no id, name or reason holds.
func plain(name, value string, limit int) error {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	switch {
	case len(value) > limit:
		return shared.BadRequest("bad_value", fmt.Sprintf("%s is longer than %d bytes.", name, limit), "Shorten it.")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, control):
		return shared.BadRequest("bad_value", name+" holds characters that are no text.", "Leave them out.")
	}
	return nil
}

// readPage reads how many rows are asked for and where to begin.
func readPage(values url.Values, scope string) (after *letters.Cursor, limit int, err error) {
	limit = defaultPage
	if text := values.Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > letters.MaxPage {
			return nil, 0, badFilter("limit", text, fmt.Sprintf("a number from 1 to %d", letters.MaxPage))
		}
	}
	text := values.Get("cursor")
	if text == "" {
		return nil, limit, nil
	}
	after = &letters.Cursor{}
	if err := shared.DecodeCursor(text, scope, after); err != nil {
		return nil, 0, err
	}
	if !idPattern.MatchString(after.ID) || after.At.Year() < 1 || after.At.Year() > 9999 {
		return nil, 0, shared.BadRequest("bad_cursor", "The cursor is not one that this list gave.",
			"Begin with the first page, without a cursor.")
	}
	return after, limit, nil
}

// nextCursor is the text of where the next page begins, "" at the end.
func nextCursor(scope string, next *letters.Cursor) (string, error) {
	if next == nil {
		return "", nil
	}
	return shared.EncodeCursor(scope, next)
}

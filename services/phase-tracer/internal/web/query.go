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

	"github.com/envision/resiliency/pkg/job"
	shared "github.com/envision/resiliency/pkg/web"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	defaultPage = 50
	maxPage     = 200
	maxValue    = 256  // bytes of one condition
	maxCursor   = 1024 // bytes
)

// conditions are what the form asks for, as text.
type conditions struct {
	Job, Owner, State, Stage, Cause, Tenant, From, To string
}

func (c *conditions) fields() map[string]*string {
	return map[string]*string{
		"job_id": &c.Job, "owner": &c.Owner, "state": &c.State, "stage": &c.Stage,
		"cause": &c.Cause, "tenant": &c.Tenant, "from": &c.From, "to": &c.To,
	}
}

// values are the conditions for an address, without what is empty.
func (c *conditions) values() url.Values {
	out := url.Values{}
	for name, value := range c.fields() {
		if *value != "" {
			out.Set(name, *value)
		}
	}
	return out
}

// readQuery reads the address of a list. A name that it does not know is refused:
// a misspelt condition must not show everything.
func readQuery(values url.Values) (conditions, Query, error) {
	var c conditions
	q := Query{Limit: defaultPage}
	fields := c.fields()
	fields["cursor"], fields["limit"] = &q.Cursor, new(string)
	for name, given := range values {
		field, known := fields[name]
		switch {
		case !known:
			return c, q, shared.BadRequest("bad_filter", fmt.Sprintf("%q is not a condition of the search.", name),
				"The conditions are job_id, owner, state, stage, cause, tenant, from and to.")
		case len(given) > 1:
			return c, q, shared.BadRequest("bad_filter", fmt.Sprintf("%q is given more than once.", name), "Give each condition once.")
		}
		*field = strings.TrimSpace(given[0])
		if err := plain(name, *field); err != nil {
			return c, q, err
		}
	}
	if text := *fields["limit"]; text != "" {
		var err error
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxPage {
			return c, q, badFilter("limit", text, fmt.Sprintf("a number from 1 to %d", maxPage))
		}
	}
	err := c.into(&q)
	return c, q, err
}

// into checks the conditions and writes them into the query.
func (c *conditions) into(q *Query) error {
	c.State, c.Cause = strings.ToUpper(c.State), strings.ToUpper(c.Cause)
	q.Job, q.Owner, q.State, q.Stage, q.Cause = c.Job, c.Owner, c.State, c.Stage, c.Cause
	if c.State != "" && !slices.Contains(states(), c.State) {
		return badFilter("state", c.State, strings.Join(states(), ", "))
	}
	if c.Cause != "" && !slices.Contains(causes(), c.Cause) {
		return badFilter("cause", c.Cause, "one of "+strings.Join(causes(), ", "))
	}
	var err error
	if q.From, err = readTime("from", c.From); err != nil {
		return err
	}
	if q.To, err = readTime("to", c.To); err != nil {
		return err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return shared.BadRequest("bad_filter", "The time from is not before the time to.", "Exchange them, or leave one out.")
	}
	if q.Job != "" && (!q.From.IsZero() || !q.To.IsZero()) {
		return shared.BadRequest("bad_filter", "A job's id and a time cannot be asked for together.", "Leave the time out: an id is found at any time.")
	}
	return nil
}

// states and causes are all that a record can have, in the order of the contract.
func states() []string { return names(resiliencyv1.JobState_name, "JOB_STATE_") }
func causes() []string { return names(resiliencyv1.Cause_name, "CAUSE_") }

func names(of map[int32]string, prefix string) []string {
	numbers := make([]int32, 0, len(of))
	for n := range of {
		if n != int32(job.CauseUnspecified) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = strings.TrimPrefix(of[n], prefix)
	}
	return out
}

func badFilter(name, value, wanted string) error {
	return shared.BadRequest("bad_filter", fmt.Sprintf("%s is %q, which it cannot be.", name, value), "Give "+wanted+".")
}

// readTime reads a time as people, programs and forms of browsers write it, in
// UTC where it does not say.
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

// plain refuses what no id, name or cursor holds.
func plain(name, value string) error {
	limit := maxValue
	if name == "cursor" {
		limit = maxCursor
	}
	switch {
	case len(value) > limit:
		return shared.BadRequest("bad_value", fmt.Sprintf("%s is longer than %d bytes.", name, limit), "Shorten it.")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return shared.BadRequest("bad_value", name+" holds characters that are no text.", "Leave them out.")
	}
	return nil
}

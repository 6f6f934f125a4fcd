package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/search"
	shared "github.com/envision/resiliency/pkg/web"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	defaultPage = 50
	maxValue    = 256 // bytes of one condition
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

// readConditions reads the address of a list. A name that it does not know is
// refused: a misspelt condition must not show everything.
func readConditions(values url.Values) (conditions, error) {
	var c conditions
	fields := c.fields()
	for name, given := range values {
		field, known := fields[name]
		switch {
		case name == "cursor" || name == "limit":
			continue
		case !known:
			return c, shared.BadRequest("bad_filter", fmt.Sprintf("%q is not a condition of the search.", job.Cut(name, maxValue)),
				"The conditions are job_id, owner, state, stage, cause, tenant, from and to.")
		case len(given) > 1:
			return c, shared.BadRequest("bad_filter", fmt.Sprintf("%q is given more than once.", name), "Give each condition once.")
		}
		*field = strings.TrimSpace(given[0])
		if err := plain(name, *field); err != nil {
			return c, err
		}
	}
	c.State, c.Cause = strings.ToUpper(c.State), strings.ToUpper(c.Cause)
	return c, nil
}

// filter is the conditions in the store's terms, without the caller's tenants.
func (c *conditions) filter() (search.Filter, error) {
	f := search.Filter{Prefix: c.Job, Owner: c.Owner, State: c.State, Stage: c.Stage, Cause: c.Cause}
	if c.State != "" && !slices.Contains(states(), c.State) {
		return f, badFilter("state", c.State, strings.Join(states(), ", "))
	}
	if c.Cause != "" && !slices.Contains(causes(), c.Cause) {
		return f, badFilter("cause", c.Cause, "one of "+strings.Join(causes(), ", "))
	}
	var err error
	if f.From, err = readTime("from", c.From); err != nil {
		return f, err
	}
	if f.To, err = readTime("to", c.To); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return f, shared.BadRequest("bad_filter", "The time from is not before the time to.", "Exchange them, or leave one out.")
	}
	if c.Job != "" && (!f.From.IsZero() || !f.To.IsZero()) {
		return f, shared.BadRequest("bad_filter", "A job's id and a time cannot be asked for together.",
			"Leave the time out: an id is found at any time.")
	}
	return f, nil
}

// readPage reads how many rows are asked for and where to begin.
func readPage(values url.Values, scope string) (after *search.Cursor, limit int, err error) {
	limit = defaultPage
	if text := values.Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > search.MaxPage {
			return nil, 0, badFilter("limit", job.Cut(text, maxValue), fmt.Sprintf("a number from 1 to %d", search.MaxPage))
		}
	}
	text := values.Get("cursor")
	if text == "" {
		return nil, limit, nil
	}
	after = &search.Cursor{}
	if err := shared.DecodeCursor(text, scope, after); err != nil {
		return nil, 0, err
	}
	if job.CheckID(after.ID) != nil || after.At.Year() < 1 || after.At.Year() > 9999 {
		return nil, 0, shared.BadRequest("bad_cursor", "The cursor is not one that this list gave.",
			"Begin with the first page, without a cursor.")
	}
	return after, limit, nil
}

// explain gives the store's refusal its answer; other errors stay as they are.
func explain(err error) error {
	if !errors.Is(err, search.ErrFilter) {
		return err
	}
	return &shared.Error{
		Status: http.StatusBadRequest, Code: "bad_filter", Err: err, Message: "This search cannot be made.",
		Remedy: fmt.Sprintf("Check the job's id, and name one tenant if you see more than %d.", search.MaxTenants),
	}
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

// plain refuses what no id or name holds.
func plain(name, value string) error {
	switch {
	case len(value) > maxValue:
		return shared.BadRequest("bad_value", fmt.Sprintf("%s is longer than %d bytes.", name, maxValue), "Shorten it.")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return shared.BadRequest("bad_value", name+" holds characters that are no text.", "Leave them out.")
	}
	return nil
}

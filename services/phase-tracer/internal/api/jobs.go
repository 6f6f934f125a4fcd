package api

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

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/pkg/web"
)

const (
	defaultPage = 50
	maxValue    = 256 // bytes
)

// conditions are the names of a search, in the order in which they are told.
func conditions() []string {
	return []string{"job_id", "prefix", "owner", "state", "stage", "cause", "tenant", "from", "to"}
}

// jobs searches.
func (a *API) jobs(w http.ResponseWriter, r *http.Request) error {
	v, err := values(r)
	if err != nil {
		return err
	}
	f, scope, err := filter(v)
	if err != nil {
		return err
	}
	who, _ := authn.FromContext(r.Context())
	f.Tenants = tenants(who.Read, v.Get("tenant"))
	limit, err := pageSize(v, search.MaxPage)
	if err != nil {
		return err
	}
	after, err := searchCursor(v.Get("cursor"), scope)
	if err != nil {
		return err
	}
	page, err := a.Finder.Find(r.Context(), f, after, limit)
	if err != nil {
		return searchError(err)
	}
	var next string
	if page.Next != nil {
		if next, err = web.EncodeCursor(scope, page.Next); err != nil {
			return fmt.Errorf("make the cursor of the next page: %w", err)
		}
	}
	if page.Rows == nil {
		page.Rows = []search.Row{}
	}
	web.WriteJSON(w, http.StatusOK, struct {
		Jobs []search.Row `json:"jobs"`
		Next string       `json:"next_cursor,omitempty"`
	}{page.Rows, next})
	return nil
}

// filter reads the conditions. scope names the list for its cursors.
func filter(v url.Values) (f search.Filter, scope string, err error) {
	asked := url.Values{}
	for name, given := range v {
		switch {
		case name == "cursor" || name == "limit":
			continue
		case !slices.Contains(conditions(), name):
			return f, "", web.BadRequest("bad_filter", fmt.Sprintf("%q is not a condition of the search.", job.Cut(name, 64)),
				"The conditions are "+strings.Join(conditions(), ", ")+".")
		case len(given) > 1:
			return f, "", web.BadRequest("bad_filter", fmt.Sprintf("%q is given more than once.", name), "Give each condition once.")
		case len(given[0]) > maxValue || !utf8.ValidString(given[0]) || strings.ContainsFunc(given[0], unicode.IsControl):
			return f, "", web.BadRequest("bad_value", name+" is too long, or holds characters that are no text.", "Shorten it.")
		case given[0] != "":
			asked.Set(name, strings.TrimSpace(given[0]))
		}
	}
	f = search.Filter{
		JobID: asked.Get("job_id"), Prefix: asked.Get("prefix"), Owner: asked.Get("owner"), Stage: asked.Get("stage"),
		State: strings.ToUpper(asked.Get("state")), Cause: strings.ToUpper(asked.Get("cause")),
	}
	if _, err := job.ParseState(f.State); f.State != "" && err != nil {
		return f, "", bad("state", f.State, "a state such as RUNNING or FAILED")
	}
	if _, err := job.ParseCause(f.Cause); f.Cause != "" && err != nil {
		return f, "", bad("cause", f.Cause, "a cause such as OOM")
	}
	if f.From, err = moment("from", asked.Get("from")); err != nil {
		return f, "", err
	}
	f.To, err = moment("to", asked.Get("to"))
	return f, "jobs?" + asked.Encode(), err
}

func bad(name, value, wanted string) error {
	return web.BadRequest("bad_filter", fmt.Sprintf("%s is %q, which it cannot be.", name, value), "Give "+wanted+".")
}

func moment(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		// Firestore knows the years 1 to 9999.
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, bad(name, text, "a time such as 2026-11-21T20:00:00Z or 2026-11-21")
}

// tenants bounds a search to what the caller may see, and to the one tenant that
// is asked for. nil is all; another's tenant is as if it had no jobs.
func tenants(to authn.Tenants, wanted string) []string {
	switch {
	case wanted != "" && to.Has(wanted):
		return []string{wanted}
	case wanted != "":
		return []string{}
	case to.All:
		return nil
	default:
		return append([]string{}, to.Names...)
	}
}

func pageSize(v url.Values, most int) (int, error) {
	text := v.Get("limit")
	if text == "" {
		return min(defaultPage, most), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, bad("limit", job.Cut(text, 64), fmt.Sprintf("a number from 1 to %d", most))
	}
	return n, nil
}

func searchCursor(text, scope string) (*search.Cursor, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the first page
	}
	c := &search.Cursor{}
	if err := web.DecodeCursor(text, scope, c); err != nil {
		return nil, err //nolint:wrapcheck // it is the answer
	}
	if job.CheckID(c.ID) != nil || !sane(c.At) {
		return nil, errCursor()
	}
	return c, nil
}

// sane reports whether Firestore could hold a time: a cursor may be forged.
func sane(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

func errCursor() error {
	return web.BadRequest("bad_cursor", "The cursor is not one that this list gave.", "Begin with the first page, without a cursor.")
}

func searchError(err error) error {
	if errors.Is(err, search.ErrFilter) {
		return &web.Error{
			Status: http.StatusBadRequest, Code: "bad_filter", Err: err, Message: "This search cannot be made.",
			Remedy: "Ask for an id or for its beginning, without a time, and for one tenant if you see more than " +
				strconv.Itoa(search.MaxTenants) + ".",
		}
	}
	return err
}

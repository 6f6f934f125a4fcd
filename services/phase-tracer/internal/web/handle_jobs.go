package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/envision/resiliency/pkg/jobstore/search"
	shared "github.com/envision/resiliency/pkg/web"
)

// listView is the page of jobs.
type listView struct {
	Query conditions
	Jobs  []search.Row
	// Next is the address of the next page, "" at the end; Later says that this is
	// not the first one.
	Next   string
	Later  bool
	States []string
	Causes []string
}

// More says that a condition is set which the page does not show at once.
func (v *listView) More() bool {
	q := &v.Query
	return q.Stage != "" || q.Tenant != "" || q.From != "" || q.To != ""
}

// Any says that the search has a condition at all.
func (v *listView) Any() bool { return v.Query != conditions{} }

func (s *Site) pageJobs(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return shared.BadRequest("bad_query", "The address holds a query that cannot be read.", "Encode its values as a form does.")
	}
	c, err := readConditions(values)
	if err != nil {
		return err
	}
	f, err := c.filter()
	if err != nil {
		return err
	}
	scope := "jobs page?" + c.values().Encode()
	after, limit, err := readPage(values, scope)
	if err != nil {
		return err
	}
	f.Tenants = tenants(caller(r.Context()).Read, c.Tenant)
	page, err := s.parts.Finder.Find(r.Context(), f, after, limit)
	if err != nil {
		return explain(err)
	}
	v := &listView{Query: c, Jobs: page.Rows, Later: after != nil, States: states(), Causes: causes()}
	if page.Next != nil {
		cursor, err := shared.EncodeCursor(scope, page.Next)
		if err != nil {
			return fmt.Errorf("make the cursor of the next page: %w", err)
		}
		next := c.values()
		next.Set("cursor", cursor)
		next.Set("limit", strconv.Itoa(limit))
		v.Next = "/jobs?" + next.Encode()
	}
	return s.pages.Render(w, r, http.StatusOK, "jobs", "Jobs", v)
}

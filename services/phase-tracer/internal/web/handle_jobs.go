package web

import (
	"net/http"
	"net/url"
	"strconv"

	shared "github.com/envision/resiliency/pkg/web"
)

// listView is the page of jobs.
type listView struct {
	Query conditions
	Jobs  []Job
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
	c, q, err := readQuery(values)
	if err != nil {
		return err
	}
	q.Tenants = tenants(caller(r.Context()).Read, c.Tenant)
	found, err := s.parts.Jobs.Search(r.Context(), &q)
	if err != nil {
		return err
	}
	v := &listView{Query: c, Jobs: found.Jobs, Later: q.Cursor != "", States: states(), Causes: causes()}
	if found.Next != "" {
		next := c.values()
		next.Set("cursor", found.Next)
		if values.Has("limit") {
			next.Set("limit", strconv.Itoa(q.Limit))
		}
		v.Next = "/jobs?" + next.Encode()
	}
	return s.pages.Render(w, r, http.StatusOK, "jobs", "Jobs", v)
}

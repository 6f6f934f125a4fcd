package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// audit is a page of the audit log.
type audit struct {
	Target, Who string
	Entries     []letters.Audit
	Next        string
	Limit       int
}

// NextPage is the address of the next page.
func (a *audit) NextPage() string {
	return "/audit?" + url.Values{
		"target": {a.Target}, "who": {a.Who}, "cursor": {a.Next}, "limit": {strconv.Itoa(a.Limit)},
	}.Encode()
}

// audit reads the log for who may see all tenants: its entries name none.
func (s *Site) audit(ctx context.Context, r *http.Request) (*audit, error) {
	if !caller(ctx).Read.All {
		return nil, &shared.Error{
			Status: http.StatusForbidden, Code: "role_too_low",
			Message: "The audit log is on all tenants and is shown only to who may see them all.",
			Remedy:  "Look at the history of a letter, which tells who did what to it.",
		}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errBadQuery()
	}
	a := &audit{Target: values.Get("target"), Who: values.Get("who")}
	for name, value := range map[string]string{"target": a.Target, "who": a.Who} {
		if err := plain(name, value, maxValue); err != nil {
			return nil, err
		}
	}
	scope := "audit?" + url.Values{"target": {a.Target}, "who": {a.Who}}.Encode()
	after, limit, err := readPage(values, scope)
	if err != nil {
		return nil, err
	}
	page, err := s.parts.Store.ListAudit(ctx, letters.AuditFilter{Target: a.Target, Who: a.Who}, after, limit)
	if err != nil {
		return nil, explain(err)
	}
	a.Entries, a.Limit = page.Entries, limit
	a.Next, err = nextCursor(scope, page.Next)
	return a, err
}

func (s *Site) pageAudit(w http.ResponseWriter, r *http.Request) error {
	a, err := s.audit(r.Context(), r)
	if err != nil {
		return err
	}
	return s.pages.Render(w, r, http.StatusOK, "audit", "Audit log", a)
}

func (s *Site) apiAudit(w http.ResponseWriter, r *http.Request) error {
	a, err := s.audit(r.Context(), r)
	if err != nil {
		return err
	}
	entries := a.Entries
	if entries == nil {
		entries = []letters.Audit{}
	}
	shared.WriteJSON(w, http.StatusOK, struct {
		Entries []letters.Audit `json:"entries"`
		Next    string          `json:"next_cursor,omitempty"`
	}{entries, a.Next})
	return nil
}

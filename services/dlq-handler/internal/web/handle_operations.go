package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// operations is a page of operations.
type operations struct {
	Operations []letters.Operation
	Next       string
	Limit      int
}

// NextPage is the address of the next page.
func (o *operations) NextPage() string {
	return "/operations?" + url.Values{"cursor": {o.Next}, "limit": {strconv.Itoa(o.Limit)}}.Encode()
}

func (s *Site) operations(ctx context.Context, r *http.Request) (*operations, error) {
	const scope = "operations"
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errBadQuery()
	}
	after, limit, err := readPage(values, scope)
	if err != nil {
		return nil, err
	}
	page, err := s.parts.Store.ListOperations(ctx, after, limit)
	if err != nil {
		return nil, explain(err)
	}
	// A page may come out shorter; the next one begins at the right place.
	may := caller(ctx).Read
	list := slices.DeleteFunc(page.Operations, func(o letters.Operation) bool { return !covers(may, o.Filter.Tenants) })
	out := &operations{Operations: list, Limit: limit}
	out.Next, err = nextCursor(scope, page.Next)
	return out, err
}

func (s *Site) pageOperations(w http.ResponseWriter, r *http.Request) error {
	list, err := s.operations(r.Context(), r)
	if err != nil {
		return err
	}
	return s.pages.Render(w, r, http.StatusOK, "operations", "Replays", list)
}

func (s *Site) apiOperations(w http.ResponseWriter, r *http.Request) error {
	list, err := s.operations(r.Context(), r)
	if err != nil {
		return err
	}
	views := make([]operationJSON, len(list.Operations))
	for i := range list.Operations {
		views[i] = viewOperation(&list.Operations[i])
	}
	shared.WriteJSON(w, http.StatusOK, struct {
		Operations []operationJSON `json:"operations"`
		Next       string          `json:"next_cursor,omitempty"`
	}{views, list.Next})
	return nil
}

// operationView is the page of one operation.
type operationView struct {
	letters.Operation

	MayCancel bool
	now       time.Time
}

// Running says that the page changes by itself.
func (v *operationView) Running() bool { return v.State == letters.OperationRunning }

// Goal is how many letters there are to be done with.
func (v *operationView) Goal() int64 {
	goal := v.Matched
	if v.Limit > 0 {
		goal = min(goal, v.Limit)
	}
	return max(goal, v.Done(), 1)
}

// Took is how long it has taken so far.
func (v *operationView) Took() time.Duration {
	if v.FinishedAt.IsZero() {
		return max(0, v.now.Sub(v.CreatedAt))
	}
	return v.FinishedAt.Sub(v.CreatedAt)
}

// Letters is the address of the list of what the operation chose; "" where the
// list cannot be asked for just that, as of several tenants.
func (v *operationView) Letters() string {
	f := v.Filter
	q := query{
		State: anyState, Fingerprint: f.Fingerprint, Category: string(f.Category), Dependency: f.Dependency,
		Subscription: f.Subscription, JobID: f.JobID, From: writeTime(f.From), To: writeTime(f.To),
	}
	switch len(f.Tenants) {
	case 0:
	case 1:
		q.Tenant = f.Tenants[0]
	default:
		return ""
	}
	return "/letters?" + q.Encode()
}

func (s *Site) pageOperation(w http.ResponseWriter, r *http.Request) error {
	who := caller(r.Context())
	o, err := s.operation(r.Context(), chi.URLParam(r, "id"), who.Read)
	if err != nil {
		return err
	}
	view := &operationView{Operation: o, now: s.parts.Now()}
	view.MayCancel = view.Running() && covers(who.Operate, o.Filter.Tenants)
	return s.pages.Render(w, r, http.StatusOK, "operation", "Replay "+o.ID, view)
}

func (s *Site) apiOperation(w http.ResponseWriter, r *http.Request) error {
	o, err := s.operation(r.Context(), chi.URLParam(r, "id"), caller(r.Context()).Read)
	if err != nil {
		return err
	}
	shared.WriteJSON(w, http.StatusOK, viewOperation(&o))
	return nil
}

// cancel ends an operation.
func (s *Site) cancel(ctx context.Context, id, reason string) (letters.Operation, error) {
	reason, err := readReason(reason, false)
	if err != nil {
		return letters.Operation{}, err
	}
	if _, err := s.operation(ctx, id, caller(ctx).Operate); err != nil {
		return letters.Operation{}, err
	}
	o, err := s.parts.Store.CancelOperation(context.WithoutCancel(ctx), id, caller(ctx).Who(), reason)
	s.acted(ctx, "cancel_operation", id, string(o.State), err)
	if errors.Is(err, letters.ErrState) {
		return o, shared.Conflict("wrong_state", "The replay has ended before: it is "+string(o.State)+".", "There is nothing left to cancel.")
	}
	return o, explain(err)
}

func (s *Site) formCancel(w http.ResponseWriter, r *http.Request) error {
	fields, err := form(r, "reason")
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	if _, err := s.cancel(r.Context(), id, fields["reason"]); err != nil {
		return err
	}
	goTo(w, r, "/operations/"+id)
	return nil
}

func (s *Site) apiCancel(w http.ResponseWriter, r *http.Request) error {
	var body reasonBody
	if err := shared.ReadJSON(r, &body); err != nil {
		return err
	}
	o, err := s.cancel(r.Context(), chi.URLParam(r, "id"), body.Reason)
	if err != nil {
		return err
	}
	shared.WriteJSON(w, http.StatusOK, viewOperation(&o))
	return nil
}

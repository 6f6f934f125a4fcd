package api

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/ledger"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// Jobs is where jobs are read from.
type Jobs interface {
	Timeline(ctx context.Context, jobID string) (t *timeline.Timeline, found bool, err error)
	Version(ctx context.Context, jobID string) (timeline.Version, error)
	Phases(ctx context.Context, jobID string, after *phases.Cursor, limit int) (phases.Page, error)
}

// Finder searches jobs; *search.Store is one.
type Finder interface {
	Find(ctx context.Context, f search.Filter, after *search.Cursor, limit int) (search.Page, error)
}

// Ledger knows how long stages and phases took.
type Ledger interface {
	Report(ctx context.Context, window time.Duration) (*ledger.Report, error)
}

// Parts are what an API is made of. All are required but those with a default.
type Parts struct {
	Jobs   Jobs
	Finder Finder
	Ledger Ledger
	Errors *web.Errors
	// Poll is the time between looks at a job that is followed; 1 s by default.
	Poll time.Duration
	// Streams is how many callers may follow jobs at once; 200 by default.
	Streams int64
	Now     func() time.Time
	Log     zerolog.Logger
}

// API answers requests.
type API struct {
	Parts

	streams atomic.Int64
}

// New returns an API.
func New(p Parts) *API {
	if p.Poll <= 0 {
		p.Poll = time.Second
	}
	if p.Streams <= 0 {
		p.Streams = 200
	}
	return &API{Parts: p}
}

// Routes adds the API to a router, behind its authentication.
func (a *API) Routes(r chi.Router) {
	for path, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/api/jobs":              a.jobs,
		"/api/jobs/{id}":         a.job,
		"/api/jobs/{id}/phases":  a.phases,
		"/api/jobs/{id}/explain": a.explain,
		"/api/jobs/{id}/events":  a.events,
		"/api/ledger":            a.ledger,
	} {
		r.Get(path, a.Errors.Handle(handler))
	}
}

// may reports whether the caller may see what belongs to a tenant. What belongs
// to none, such as a job without a record, is for who sees all.
func may(ctx context.Context, tenant string) bool {
	who, _ := authn.FromContext(ctx)
	return who.Read.Has(tenant)
}

func errNoJob() error { return web.NotFound("Nothing is on record about such a job.") }

func values(r *http.Request) (url.Values, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, web.BadRequest("bad_query", "The address holds a query that cannot be read.", "Encode its values as a form does.")
	}
	return v, nil
}

// timeline reads a job that the caller may see.
func (a *API) timeline(r *http.Request) (*timeline.Timeline, error) {
	id := chi.URLParam(r, "id")
	if job.CheckID(id) != nil {
		return nil, errNoJob()
	}
	t, found, err := a.Jobs.Timeline(r.Context(), id)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says of which job
	}
	if !found || !may(r.Context(), t.Status.Tenant) {
		return nil, errNoJob()
	}
	return t, nil
}

// version is timeline for the cost of two reads.
func (a *API) version(ctx context.Context, id string) (timeline.Version, error) {
	if job.CheckID(id) != nil {
		return timeline.Version{}, errNoJob()
	}
	v, err := a.Jobs.Version(ctx, id)
	if err == nil && (!v.Found || !may(ctx, v.Tenant)) {
		err = errNoJob()
	}
	return v, err //nolint:wrapcheck // it says of which job
}

func (a *API) job(w http.ResponseWriter, r *http.Request) error {
	t, err := a.timeline(r)
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, struct {
		*timeline.Timeline
		Explanation timeline.Explanation `json:"explanation"`
	}{t, timeline.Explain(t, a.Now())})
	return nil
}

func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	t, err := a.timeline(r)
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, timeline.Explain(t, a.Now()))
	return nil
}

func (a *API) ledger(w http.ResponseWriter, r *http.Request) error {
	v, err := values(r)
	if err != nil {
		return err
	}
	window := 24 * time.Hour
	if text := v.Get("window"); text != "" {
		if window, err = time.ParseDuration(text); err != nil || window < ledger.MinWindow || window > ledger.MaxWindow {
			return web.BadRequest("bad_window", "The durations are not kept for such a window.",
				"Ask for a duration from "+ledger.MinWindow.String()+" to "+ledger.MaxWindow.String()+", such as 24h.")
		}
	}
	report, err := a.Ledger.Report(r.Context(), window)
	if err != nil {
		return err //nolint:wrapcheck // it says of what
	}
	web.WriteJSON(w, http.StatusOK, report)
	return nil
}

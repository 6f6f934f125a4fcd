package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }

// fakes hold one job of tenant video that is over, and remember what was searched.
type fakes struct{ asked search.Filter }

func (*fakes) Timeline(context.Context, string) (*timeline.Timeline, bool, error) {
	return &timeline.Timeline{JobID: "j-1", Status: timeline.Status{Known: true, Tenant: "video"}}, true, nil
}

func (*fakes) Version(context.Context, string) (timeline.Version, error) {
	return timeline.Version{Tenant: "video", Found: true, Over: true, Text: "1"}, nil
}

func (*fakes) Phases(context.Context, string, *phases.Cursor, int) (phases.Page, error) {
	return phases.Page{}, nil
}

func (f *fakes) Find(_ context.Context, filter search.Filter, _ *search.Cursor, _ int) (search.Page, error) {
	f.asked = filter
	return search.Page{}, nil
}

// call asks as a reader of tenants; status 200 is no error.
func call(f *fakes, path string, may authn.Tenants) int {
	a := New(Parts{Jobs: f, Finder: f, Now: time.Now, Log: zerolog.Nop()})
	status := http.StatusOK
	router := chi.NewRouter()
	for pattern, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/api/jobs": a.jobs, "/api/jobs/{id}": a.job, "/api/jobs/{id}/phases": a.phases,
		"/api/jobs/{id}/explain": a.explain, "/api/jobs/{id}/events": a.events,
	} {
		router.Get(pattern, func(w http.ResponseWriter, r *http.Request) {
			if answer, ok := errors.AsType[*web.Error](handler(w, r)); ok {
				status = answer.Status
			}
		})
	}
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	router.ServeHTTP(httptest.NewRecorder(), r.WithContext(authn.NewContext(r.Context(), authn.Identity{Subject: "x", Read: may})))
	return status
}

func TestAPI_ReadersSeeTheirTenantsAlone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/jobs/j-1", "/api/jobs/j-1/phases", "/api/jobs/j-1/explain", "/api/jobs/j-1/events"} {
		for _, c := range []struct {
			may  authn.Tenants
			want int
		}{
			{authn.Tenants{All: true}, 200}, {authn.Tenants{Names: []string{"video"}}, 200},
			{authn.Tenants{Names: []string{"maps"}}, 404}, {authn.Tenants{}, 404},
		} {
			if got := call(&fakes{}, path, c.may); got != c.want {
				t.Errorf("%s as reader of %q: %d, want %d", path, c.may, got, c.want)
			}
		}
	}
}

func TestAPI_SearchesTheirTenantsAlone(t *testing.T) {
	t.Parallel()
	two := authn.Tenants{Names: []string{"maps", "video"}}
	for _, c := range []struct {
		path string
		may  authn.Tenants
		want []string
		all  bool
	}{
		{"/api/jobs", authn.Tenants{All: true}, nil, true},
		{"/api/jobs?tenant=video", authn.Tenants{All: true}, []string{"video"}, false},
		{"/api/jobs", two, []string{"maps", "video"}, false},
		{"/api/jobs?tenant=video", two, []string{"video"}, false},
		{"/api/jobs?tenant=other", two, []string{}, false},
		{"/api/jobs", authn.Tenants{}, []string{}, false},
	} {
		f := &fakes{}
		if got := call(f, c.path, c.may); got != http.StatusOK || (f.asked.Tenants == nil) != c.all || !slices.Equal(f.asked.Tenants, c.want) {
			t.Errorf("%s as reader of %q: %d, asked for %#v", c.path, c.may, got, f.asked.Tenants)
		}
	}
}

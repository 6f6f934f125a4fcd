package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// odd holds one phase with a time that is none, between two others.
type odd struct{ fakes }

func (odd) Phases(context.Context, string, *phases.Cursor, int) (phases.Page, error) {
	page := phases.Page{Unreadable: []string{"other"}, Next: &phases.Cursor{At: time.Unix(1, 0), ID: "c"}}
	for id, at := range map[string]*timestamppb.Timestamp{"a": nil, "b": {Seconds: 1 << 60}, "c": timestamppb.Now()} {
		page.Stored = append(page.Stored, phases.Stored{ID: id, Kind: phases.KindJudged, Phase: &resiliencyv1.PhaseEvent{
			EventId: id, Event: &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{NextCheckAt: at}},
		}})
	}
	return page, nil
}

// One phase that cannot be shown hides neither the others nor the next page.
func TestAPI_PhasesThatCannotBeShown(t *testing.T) {
	t.Parallel()
	a := New(Parts{Jobs: &odd{}, Now: time.Now, Log: zerolog.Nop()})
	router := chi.NewRouter()
	router.Get("/api/jobs/{id}/phases", func(w http.ResponseWriter, r *http.Request) {
		if err := a.phases(w, r); err != nil {
			t.Error(err)
		}
	})
	r, w := httptest.NewRequest(http.MethodGet, "/api/jobs/j-1/phases", http.NoBody), httptest.NewRecorder()
	who := authn.Identity{Subject: "x", Read: authn.Tenants{All: true}}
	router.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), who)))
	var got struct {
		Phases     []struct{ ID string }
		Unreadable []string
		Next       string `json:"next_cursor"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("status %d, %s: %v", w.Code, w.Body, err)
	}
	slices.Sort(got.Unreadable)
	if len(got.Phases) != 2 || !slices.Equal(got.Unreadable, []string{"b", "other"}) || got.Next == "" {
		t.Errorf("status %d, %+v", w.Code, got)
	}
}

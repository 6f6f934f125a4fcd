package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/web"
)

// phaseJSON is a stored phase or update as the API shows it.
type phaseJSON struct {
	ID        string        `json:"id"`
	Kind      string        `json:"kind"`
	StoredAt  time.Time     `json:"stored_at,omitzero"`
	ExpireAt  time.Time     `json:"expire_at,omitzero"`
	Witnesses []witnessJSON `json:"witnesses"`
	// PhaseEvent and JobUpdate are the message in the JSON form of the contract.
	PhaseEvent json.RawMessage `json:"phase_event,omitempty"`
	JobUpdate  json.RawMessage `json:"job_update,omitempty"`
}

type witnessJSON struct {
	Source     string    `json:"source"`
	Reporter   string    `json:"reporter,omitempty"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
}

// phases lists what is stored of a job, in the order of when it happened.
func (a *API) phases(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	v, err := values(r)
	if err != nil {
		return err
	}
	limit, err := pageSize(v, phases.MaxPage)
	if err != nil {
		return err
	}
	scope := "phases?" + id
	after, err := phaseCursor(v.Get("cursor"), scope)
	if err != nil {
		return err
	}
	if _, err := a.version(r.Context(), id); err != nil {
		return err
	}
	page, err := a.Jobs.Phases(r.Context(), id, after, limit)
	if err != nil {
		return err //nolint:wrapcheck // it says of which job
	}
	out := struct {
		Phases     []phaseJSON `json:"phases"`
		Unreadable []string    `json:"unreadable,omitempty"`
		Next       string      `json:"next_cursor,omitempty"`
	}{Phases: make([]phaseJSON, 0, len(page.Stored)), Unreadable: page.Unreadable}
	for i := range page.Stored {
		view, err := viewPhase(&page.Stored[i])
		if err != nil { // one that has no JSON form must not hide the others
			a.Log.Warn().Err(err).Str("job_id", id).Msg("a stored phase cannot be shown")
			out.Unreadable = append(out.Unreadable, page.Stored[i].ID)
			continue
		}
		out.Phases = append(out.Phases, view)
	}
	if page.Next != nil {
		if out.Next, err = web.EncodeCursor(scope, page.Next); err != nil {
			return fmt.Errorf("make the cursor of the next page: %w", err)
		}
	}
	web.WriteJSON(w, http.StatusOK, out)
	return nil
}

func viewPhase(s *phases.Stored) (phaseJSON, error) {
	out := phaseJSON{ID: s.ID, Kind: string(s.Kind), StoredAt: s.StoredAt, ExpireAt: s.ExpireAt}
	out.Witnesses = make([]witnessJSON, len(s.Witnesses))
	for i, w := range s.Witnesses {
		out.Witnesses[i] = witnessJSON{Source: job.SourceName(w.Source), Reporter: w.Reporter, ReceivedAt: w.ReceivedAt}
	}
	var err error
	if s.Update != nil {
		out.JobUpdate, err = contractJSON(s.Update)
	} else {
		out.PhaseEvent, err = contractJSON(s.Phase)
	}
	if err != nil {
		return out, fmt.Errorf("show phase %s: %w", s.ID, err)
	}
	return out, nil
}

func contractJSON(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m) //nolint:wrapcheck // the caller says of what
}

func phaseCursor(text, scope string) (*phases.Cursor, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the first page
	}
	c := &phases.Cursor{}
	if err := web.DecodeCursor(text, scope, c); err != nil {
		return nil, err //nolint:wrapcheck // it is the answer
	}
	if !phases.PlainID(c.ID) || !sane(c.At) {
		return nil, errCursor()
	}
	return c, nil
}

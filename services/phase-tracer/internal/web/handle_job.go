package web

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web/chart"
)

func (s *Site) pageJob(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	if job.CheckID(id) != nil {
		return errNoJob()
	}
	t, found, err := s.parts.Jobs.Timeline(r.Context(), id)
	if err != nil {
		return err
	}
	// What belongs to no tenant, such as a job without a record, is for who sees all.
	if !found || !caller(r.Context()).Read.Has(t.Status.Tenant) {
		return errNoJob()
	}
	return s.pages.Render(w, r, http.StatusOK, "job", "Job "+id, s.view(t))
}

// jobView is the page of a job.
type jobView struct {
	*timeline.Timeline

	Explained timeline.Explanation
	Chart     chart.Chart
	Lanes     []laneView
	// Phases are all that are drawn, numbered as in the chart.
	Phases []phaseView
	// Stopped is the phase where the job stopped or is, nil when none tells.
	Stopped  *phaseView
	Capsules []capsuleView
	Letters  []letterView
	Updates  []timeline.Sent
	Facts    []factView
}

func (s *Site) view(t *timeline.Timeline) *jobView {
	v := &jobView{
		Timeline: t, Explained: timeline.Explain(t, s.parts.Now()), Chart: chart.Draw(t),
		Phases: phases(t), Capsules: capsules(t.Capsules), Letters: s.letterViews(t.Letters), Updates: t.Updates, Facts: facts(t.Facts),
	}
	v.Lanes = lanes(&v.Chart)
	if t.Stop != nil && t.Stop.SpanID != "" {
		for i := range v.Phases {
			if v.Phases[i].ID == t.Stop.SpanID {
				v.Stopped = &v.Phases[i]
				break
			}
		}
	}
	return v
}

// Failed says that the job ended badly.
func (v *jobView) Failed() bool { return v.Status.State == "FAILED" }

// manyPhases is how many rows of the table are seen at once; browsers unfold more
// by themselves when a link leads into it.
const manyPhases = 100

// FoldPhases says that the table is too long to be scrolled past.
func (v *jobView) FoldPhases() bool { return len(v.Phases) > manyPhases }

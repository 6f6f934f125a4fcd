package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// minRate is the slowest replay by filter, in letters a second: one in 100 s.
const minRate = 0.01

// order is a replay by filter as somebody asks for it.
type order struct {
	Filter query   `json:"filter"`
	Rate   float64 `json:"rate"`
	Limit  int64   `json:"limit"`
	Reason string  `json:"reason"`
	// DryRun only tells what would be done.
	DryRun bool `json:"dry_run"`
	// ConfirmAll says that a filter that chooses everything is meant.
	ConfirmAll bool `json:"confirm_all"`
}

// plan is an order that was understood, with what it would do.
type plan struct {
	Order   order
	Request letters.ReplayRequest
	Preview letters.Preview
	// All says that it chooses everything that is open and needs a confirmation.
	All     bool
	MaxRate float64
}

// Sends is how many letters would be sent.
func (p *plan) Sends() int64 {
	if p.Request.Limit > 0 {
		return min(p.Request.Limit, p.Preview.Matched)
	}
	return p.Preview.Matched
}

// plan checks an order and asks what it would do.
func (s *Site) plan(ctx context.Context, o order) (*plan, error) {
	f, err := o.Filter.filter()
	if err != nil {
		return nil, err
	}
	if f.State != letters.StateOpen {
		return nil, badFilter("state", o.Filter.State, "OPEN or nothing: only open letters are replayed by filter")
	}
	if o.Rate == 0 {
		o.Rate = s.parts.DefaultRate
	}
	if !(o.Rate >= minRate) || o.Rate > s.parts.MaxRate {
		return nil, badFilter("rate", strconv.FormatFloat(o.Rate, 'g', -1, 64),
			fmt.Sprintf("how many letters a second, from %g to %g", minRate, s.parts.MaxRate))
	}
	if o.Limit < 0 {
		return nil, badFilter("limit", strconv.FormatInt(o.Limit, 10), "how many letters to send at most, or 0 for all")
	}
	operates := caller(ctx).Operate
	restrict(&f, o.Filter.Tenant, operates)
	p := &plan{Order: o, MaxRate: s.parts.MaxRate}
	p.Request = letters.ReplayRequest{Filter: f, Rate: o.Rate, Limit: o.Limit, By: caller(ctx).Who(), Reason: o.Reason}
	if p.Preview, err = s.parts.Replayer.Preview(ctx, p.Request); err != nil {
		return nil, explain(err)
	}
	p.All, err = s.choosesAll(ctx, p)
	return p, err
}

// choosesAll reports whether a plan is on every open letter of its tenants. A
// time that excludes nothing is no restriction either.
func (s *Site) choosesAll(ctx context.Context, p *plan) (bool, error) {
	if !p.Order.Filter.everything() {
		return false, nil
	}
	f := p.Request.Filter
	if f.From.IsZero() && f.To.IsZero() {
		return true, nil
	}
	open, err := s.parts.Store.Count(ctx, letters.Filter{State: letters.StateOpen, Tenants: f.Tenants})
	return open > 0 && p.Preview.Matched >= open, explain(err)
}

// start begins the operation of an order.
func (s *Site) start(ctx context.Context, o order) (letters.Operation, error) {
	reason, err := readReason(o.Reason, true)
	if err != nil {
		return letters.Operation{}, err
	}
	o.Reason = reason
	p, err := s.plan(ctx, o)
	if err != nil {
		return letters.Operation{}, err
	}
	switch {
	case p.Preview.Matched == 0:
		return letters.Operation{}, shared.Conflict("matches_nothing", "The filter matches no open letter, so there is nothing to replay.",
			"Change the filter; letters that were replayed or discarded are not taken.")
	case p.All && !o.ConfirmAll:
		return letters.Operation{}, shared.Conflict("confirm_all",
			fmt.Sprintf("The filter matches everything: %s.", shared.Count(p.Preview.Matched, "open letter")),
			"Restrict it, or confirm that all of them are meant (confirm_all).")
	}
	op, err := s.parts.Replayer.Start(context.WithoutCancel(ctx), p.Request)
	s.acted(ctx, "start_operation", op.ID, string(op.State), err)
	return op, explain(err)
}

// pagePreview is the dry run, with the form that begins the real one.
func (s *Site) pagePreview(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errBadQuery()
	}
	o, err := readOrder(values)
	if err != nil {
		return err
	}
	p, err := s.plan(r.Context(), o)
	if err != nil {
		return err
	}
	return s.pages.Render(w, r, http.StatusOK, "preview", "Replay letters", p)
}

func (s *Site) formStart(w http.ResponseWriter, r *http.Request) error {
	if err := shared.ReadForm(r); err != nil {
		return err
	}
	o, err := readOrder(r.PostForm)
	if err != nil {
		return err
	}
	op, err := s.start(r.Context(), o)
	if err != nil {
		return err
	}
	goTo(w, r, "/operations/"+op.ID)
	return nil
}

// readOrder reads the fields of the form.
func readOrder(values url.Values) (order, error) {
	q, err := readQuery(values, "rate", "limit", "reason", "confirm_all")
	if err != nil {
		return order{}, err
	}
	o := order{Filter: q, Reason: values.Get("reason"), ConfirmAll: values.Get("confirm_all") == "yes"}
	if text := values.Get("rate"); text != "" {
		if o.Rate, err = strconv.ParseFloat(text, 64); err != nil || !(o.Rate > 0) || math.IsInf(o.Rate, 0) {
			return o, badFilter("rate", text, "a number of letters a second")
		}
	}
	if text := values.Get("limit"); text != "" {
		if o.Limit, err = strconv.ParseInt(text, 10, 64); err != nil {
			return o, badFilter("limit", text, "a number of letters")
		}
	}
	return o, nil
}

func (s *Site) apiStart(w http.ResponseWriter, r *http.Request) error {
	var o order
	if err := shared.ReadJSON(r, &o); err != nil {
		return err
	}
	if o.DryRun {
		p, err := s.plan(r.Context(), o)
		if err != nil {
			return err
		}
		shared.WriteJSON(w, http.StatusOK, previewJSON{
			Matched: p.Preview.Matched, Sends: p.Sends(), Seconds: p.Preview.Takes.Seconds(), NeedsConfirmation: p.All,
			Sample: summariesJSON(p.Preview.Sample),
		})
		return nil
	}
	op, err := s.start(r.Context(), o)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/operations/"+op.ID)
	shared.WriteJSON(w, http.StatusAccepted, viewOperation(&op))
	return nil
}

type previewJSON struct {
	Matched           int64        `json:"matched"`
	Sends             int64        `json:"sends"`
	Seconds           float64      `json:"seconds"`
	NeedsConfirmation bool         `json:"needs_confirmation"`
	Sample            []letterJSON `json:"sample"`
}

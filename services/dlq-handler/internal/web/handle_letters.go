package web

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// list is a page of letters with what was asked for.
type list struct {
	Query   query
	Letters []letters.Letter
	// Next is the cursor of the next page, "" at the end.
	Next  string
	Limit int
	// Later says that this is not the first page.
	Later bool
	// MayReplay says that the caller operates something.
	MayReplay bool
	States    []letters.State
}

// NextPage is the address of the next page.
func (l *list) NextPage() string {
	values := l.Query.Values()
	values.Set("cursor", l.Next)
	values.Set("limit", strconv.Itoa(l.Limit))
	return "/letters?" + values.Encode()
}

// ReplayPage is the address of the dry run on the same filter.
func (l *list) ReplayPage() string { return "/replays/new?" + l.Query.Encode() }

// More says that a condition is set which the page does not show at once.
func (l *list) More() bool {
	q := &l.Query
	return q.Fingerprint != "" || q.Dependency != "" || q.Subscription != "" || q.Tenant != "" || q.From != "" || q.To != ""
}

func (s *Site) list(ctx context.Context, values url.Values) (*list, error) {
	q, err := readQuery(values, "cursor", "limit")
	if err != nil {
		return nil, err
	}
	f, err := q.filter()
	if err != nil {
		return nil, err
	}
	who := caller(ctx)
	restrict(&f, q.Tenant, who.Read)
	scope := "letters?" + q.Encode()
	after, limit, err := readPage(values, scope)
	if err != nil {
		return nil, err
	}
	page, err := s.parts.Store.List(ctx, f, after, limit)
	if err != nil {
		return nil, explain(err)
	}
	out := &list{
		Query: q, Letters: page.Letters, Limit: limit, Later: after != nil,
		MayReplay: !who.Operate.Empty(), States: letters.States(),
	}
	out.Next, err = nextCursor(scope, page.Next)
	return out, err
}

func (s *Site) pageLetters(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errBadQuery()
	}
	l, err := s.list(r.Context(), values)
	if err != nil {
		return err
	}
	return s.pages.Render(w, r, http.StatusOK, "letters", "Dead letters", l)
}

func (s *Site) apiLetters(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errBadQuery()
	}
	l, err := s.list(r.Context(), values)
	if err != nil {
		return err
	}
	shared.WriteJSON(w, http.StatusOK, struct {
		Letters []letterJSON `json:"letters"`
		Next    string       `json:"next_cursor,omitempty"`
	}{summariesJSON(l.Letters), l.Next})
	return nil
}

func errBadQuery() error {
	return shared.BadRequest("bad_query", "The address holds a query that cannot be read.", "Encode its values as a form does.")
}

// letterView is the page of one letter.
type letterView struct {
	letters.Letter

	Lives []life
	// Preview is the beginning of the payload, Binary if it is shown in hex.
	Preview   string
	Binary    bool
	Cut       bool
	MayChange bool
	// Notice says what came of the caller's last step here.
	Notice *notice
}

// Replaying says that the page changes by itself.
func (v *letterView) Replaying() bool { return v.State == letters.StateReplaying }

// MayReplay and MayDiscard say what the state allows.
func (v *letterView) MayReplay() bool {
	return v.MayChange && (v.State == letters.StateOpen || v.State == letters.StateDiscarded)
}

// MayDiscard says whether the letter can be discarded by the caller.
func (v *letterView) MayDiscard() bool { return v.MayChange && v.State == letters.StateOpen }

func (s *Site) pageLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := s.letter(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return s.showLetter(w, r, http.StatusOK, &l, noticeOf(r.URL.Query().Get("result")))
}

func (s *Site) showLetter(w http.ResponseWriter, r *http.Request, status int, l *letters.Letter, n *notice) error {
	view := &letterView{
		Letter: *l, Lives: lives(l.History), MayChange: caller(r.Context()).Operate.Has(l.Tenant), Notice: n,
	}
	view.Preview, view.Binary, view.Cut = preview(l.Payload)
	return s.pages.Render(w, r, status, "letter", "Letter "+l.ID, view)
}

func (s *Site) apiLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := s.letter(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	shared.WriteJSON(w, http.StatusOK, detailJSON(&l))
	return nil
}

// download sends the payload as it is, and in a way that no browser runs it.
func (s *Site) download(w http.ResponseWriter, r *http.Request) error {
	l, err := s.letter(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), downloadWithin)
	defer cancel()
	payload, size, err := s.parts.Replayer.Payload(ctx, &l)
	if err != nil {
		return explain(err)
	}
	defer func() { _ = payload.Close() }() // nothing was written
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="letter-`+l.ID+`.bin"`)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	// Passed on as it comes: several of the largest at once must not fill the memory.
	// A client sees by the length that something is missing.
	if _, err := io.Copy(w, payload); err != nil && ctx.Err() == nil {
		s.parts.Log.Warn().Err(err).Str("request_id", shared.RequestID(ctx)).Str("letter_id", l.ID).Msg("download was cut short")
	}
	return nil
}

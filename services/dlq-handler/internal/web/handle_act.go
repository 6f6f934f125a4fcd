package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/service"
	shared "github.com/envision/resiliency/pkg/web"
)

const maxReason = 500 // bytes

// reasonBody is the JSON of an action on one thing.
type reasonBody struct {
	Reason string `json:"reason"`
}

// readReason checks the words that go into the audit log.
func readReason(text string, required bool) (string, error) {
	text = strings.TrimSpace(text)
	if required && text == "" {
		return "", shared.BadRequest("no_reason", "A reason is missing.", "Say in a few words why; it goes into the audit log.")
	}
	return text, plain("reason", text, maxReason)
}

// form returns the value of a form that has no other fields than those named.
func form(r *http.Request, names ...string) (map[string]string, error) {
	if err := shared.ReadForm(r); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range names {
		out[name] = r.PostForm.Get(name)
	}
	return out, nil
}

// goTo answers a form with the page to look at next, so that loading it again
// does not send the form again. path is of this site.
func goTo(w http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(w, r, path, http.StatusSeeOther) //nolint:gosec // begins with a path of ours, before an id that exists
}

// replay sends one letter again, for who may do so.
func (s *Site) replay(ctx context.Context, id, reason string) (letters.ReplayResult, error) {
	reason, err := readReason(reason, false)
	if err != nil {
		return letters.ReplayResult{}, err
	}
	l, err := s.letter(ctx, id)
	if err != nil {
		return letters.ReplayResult{}, err
	}
	if err := mayOperate(ctx, &l); err != nil {
		return letters.ReplayResult{}, err
	}
	return s.await(ctx, id, reason)
}

// end is what became of a replay.
type end struct {
	result letters.ReplayResult
	err    error
	caught *service.PanicError
}

// await replays a letter and waits for the end of it as long as an answer can still
// be given. Who has pressed the button has asked for it, also if they leave at once;
// and what is on its way to Pub/Sub then goes on to its end. A panic is that of the
// request as long as there is one: outside of it, it would end the process.
func (s *Site) await(ctx context.Context, id, reason string) (letters.ReplayResult, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	ended, left := make(chan end), make(chan struct{})
	defer close(left)
	go func() {
		defer cancel()
		e := s.replayed(ctx, id, reason)
		select {
		case ended <- e:
		case <-left:
			if e.caught != nil {
				s.parts.Log.Error().Str("request_id", shared.RequestID(ctx)).Str("letter_id", id).
					Err(e.caught).Bytes("stack_trace", e.caught.Stack).Msg("replay panicked")
			}
		}
	}()
	late := time.NewTimer(s.patience)
	defer late.Stop()
	select {
	case e := <-ended:
		if e.caught != nil {
			panic(e.caught)
		}
		return e.result, explain(e.err)
	case <-late.C:
		return letters.ReplayResult{}, &shared.Error{
			Status: http.StatusServiceUnavailable, Code: "not_sent_yet",
			Message: fmt.Sprintf("The letter could not be sent within %s: something that this service depends on does not answer.", s.patience),
			Remedy:  "It may still go out. Look at the letter in a minute, and replay it again if it is open then.",
		}
	}
}

func (s *Site) replayed(ctx context.Context, id, reason string) (e end) {
	defer func() {
		if v := recover(); v != nil {
			e.caught = &service.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	e.result, e.err = s.parts.Replayer.Replay(ctx, id, caller(ctx).Who(), reason)
	s.acted(ctx, "replay", id, string(e.result.Outcome), e.err)
	return e
}

func (s *Site) formReplay(w http.ResponseWriter, r *http.Request) error {
	fields, err := form(r, "reason")
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	result, err := s.replay(r.Context(), id, fields["reason"])
	if err != nil {
		return err
	}
	if result.Outcome == letters.ReplayRefused {
		// Why is in the answer alone: not every refusal is noted in the letter.
		l := result.Letter
		return s.showLetter(w, r, http.StatusConflict, &l, refusedNotice(result.Text))
	}
	goTo(w, r, "/letters/"+id+"?result="+string(result.Outcome))
	return nil
}

func (s *Site) apiReplay(w http.ResponseWriter, r *http.Request) error {
	var body reasonBody
	if err := shared.ReadJSON(r, &body); err != nil {
		return err
	}
	result, err := s.replay(r.Context(), chi.URLParam(r, "id"), body.Reason)
	if err != nil {
		return err
	}
	if result.Outcome == letters.ReplayRefused {
		return shared.Conflict("not_sent", result.Text, "Mend what it names and replay the letter again; it stays open.")
	}
	shared.WriteJSON(w, http.StatusOK, struct {
		letters.ReplayResult
		Letter letterJSON `json:"letter"`
	}{result, summaryJSON(&result.Letter)})
	return nil
}

// discard closes one letter for good.
func (s *Site) discard(ctx context.Context, id, reason string) (letters.Letter, error) {
	reason, err := readReason(reason, true)
	if err != nil {
		return letters.Letter{}, err
	}
	l, err := s.letter(ctx, id)
	if err != nil {
		return letters.Letter{}, err
	}
	if err := mayOperate(ctx, &l); err != nil {
		return letters.Letter{}, err
	}
	l, err = s.parts.Store.Discard(context.WithoutCancel(ctx), id, caller(ctx).Who(), reason)
	s.acted(ctx, "discard", id, string(l.State), err)
	if errors.Is(err, letters.ErrState) {
		return l, shared.Conflict("wrong_state", "The letter is "+string(l.State)+" and only an open one can be discarded.",
			"Look at its history to see what became of it.")
	}
	return l, explain(err)
}

func (s *Site) formDiscard(w http.ResponseWriter, r *http.Request) error {
	fields, err := form(r, "reason")
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	if _, err := s.discard(r.Context(), id, fields["reason"]); err != nil {
		return err
	}
	goTo(w, r, "/letters/"+id+"?result="+resultDiscarded)
	return nil
}

func (s *Site) apiDiscard(w http.ResponseWriter, r *http.Request) error {
	var body reasonBody
	if err := shared.ReadJSON(r, &body); err != nil {
		return err
	}
	l, err := s.discard(r.Context(), chi.URLParam(r, "id"), body.Reason)
	if err != nil {
		return err
	}
	shared.WriteJSON(w, http.StatusOK, summaryJSON(&l))
	return nil
}

// acted leaves a line in the log for everything that somebody did.
func (s *Site) acted(ctx context.Context, action, target, outcome string, err error) {
	s.parts.Log.Info().Err(err).Str("request_id", shared.RequestID(ctx)).Str("caller", caller(ctx).Who()).
		Str("action", action).Str("target", target).Str("outcome", outcome).Msg("operator acted")
}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

const (
	// heartbeat keeps proxies from closing a quiet stream, and tells a browser that
	// is gone from one that reads.
	heartbeat = 15 * time.Second
	// longest is how long a stream lasts; a browser then opens another by itself.
	longest = 30 * time.Minute
	// writeFor is how long a client may take to read one event.
	writeFor = 10 * time.Second
	// progressEvery is how often at most a stream tells of progress alone: a loop
	// reports every second, and who is told reads the whole timeline again.
	progressEvery = 10 * time.Second
)

// events tells by server-sent events when the timeline of a job has changed:
// "change" with its version, first at once, and "end" when the job is over. It ends
// with the server, and when the caller may no longer see the job. A browser that lost
// sight of the end asks again for ever; it is told that there is no more.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	v, err := a.version(r.Context(), id)
	if err != nil {
		return err
	}
	if v.Over && r.Header.Get("Last-Event-ID") == v.Text {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if a.streams.Add(1) > a.Streams {
		a.streams.Add(-1)
		return &web.Error{
			Status: http.StatusServiceUnavailable, Code: "too_many_streams",
			Message: "Too many callers follow jobs at this moment.", Remedy: "Look again later, or ask for the job itself.",
		}
	}
	defer a.streams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return nil // there is nothing to be told
	}
	s := &stream{w: w, control: http.NewResponseController(w)}
	ctx, cancel := untilDrained(r.Context(), longest)
	defer cancel()
	err = a.follow(ctx, s, id, v)
	// The time to write the last event may be over by now; without some for the end of
	// the stream itself, its client would take it for broken off.
	if err = errors.Join(err, s.bound()); err != nil {
		a.Log.Debug().Err(err).Str("job_id", id).Msg("stream ended")
	}
	return nil
}

// untilDrained is a context that ends after a time, or with the server: a look at
// a store that does not answer must not hold up its end.
func untilDrained(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, most)
	go func() {
		select {
		case <-web.Draining(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (a *API) follow(ctx context.Context, s *stream, id string, told timeline.Version) error {
	if err := s.send("change", told.Text); err != nil {
		return err
	}
	over, toldAt := told.Over, time.Now()
	poll, beat := time.NewTicker(a.Poll), time.NewTicker(heartbeat)
	defer poll.Stop()
	defer beat.Stop()
	for !over {
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow job %s: %w", id, context.Cause(ctx))
		case <-beat.C:
			if err := s.comment(); err != nil {
				return err
			}
		case <-poll.C:
			v, err := a.version(ctx, id)
			if err != nil {
				return err
			}
			over = v.Over
			if v.Text == told.Text || v.OnlyProgress(&told) && time.Since(toldAt) < progressEvery {
				continue
			}
			told, toldAt = v, time.Now()
			if err := s.send("change", told.Text); err != nil {
				return err
			}
		}
	}
	return s.end(told.Text)
}

// stream writes events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(event, version string) error { return s.tell("", event, version) }

// end is the last event, by whose id the client is known if it asks again.
func (s *stream) end(version string) error { return s.tell("id: "+version+"\n", "end", version) }

func (s *stream) tell(id, event, version string) error {
	data, err := json.Marshal(map[string]string{"version": version})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return s.write(id + "event: " + event + "\ndata: " + string(data) + "\n\n")
}

func (s *stream) comment() error { return s.write(":\n\n") }

// bound gives the client time to read what is written next.
func (s *stream) bound() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeFor)); err != nil {
		return fmt.Errorf("bound the writing of an event: %w", err)
	}
	return nil
}

func (s *stream) write(text string) error {
	if err := s.bound(); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	return nil
}

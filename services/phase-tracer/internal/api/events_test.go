package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

func TestEvents_TellOfEachChangeAndOfTheEnd(t *testing.T) {
	t.Parallel()
	ended := func(text string) func(f *followed) {
		return func(f *followed) { f.version.Over, f.version.Text = true, text }
	}
	cases := []struct {
		name  string
		steps []func(f *followed)
		// want is what is heard after each step, the first before all.
		want [][]string
	}{
		{"over_from_the_beginning", nil, [][]string{{"change 1", "end 1"}}},
		{"ends_with_a_change", []func(*followed){ended("2")}, [][]string{{"change 1"}, {"change 2", "end 2"}}},
		{"ends_and_nothing_else", []func(*followed){ended("1")}, [][]string{{"change 1"}, {"end 1"}}},
		{"goes_on_for_a_while", []func(*followed){
			func(f *followed) { f.version.Text = "2" }, func(f *followed) { f.version.Text = "3" }, ended("4"),
		}, [][]string{{"change 1"}, {"change 2"}, {"change 3"}, {"change 4", "end 4"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := goesOn()
				f.version.Over = len(c.steps) == 0
				s := follow(t, serve(t, f.handler(t, Parts{})), eventsURL("api"))
				s.hears(c.want[0]...)
				for i, step := range c.steps {
					f.change(step)
					s.hears(c.want[i+1]...)
				}
				s.ends()
			})
		})
	}
}

// A change is told within a second, and what does not change costs a sign of life
// now and then.
func TestEvents_QuietStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, began := goesOn(), time.Now()
		s := follow(t, serve(t, f.handler(t, Parts{})), eventsURL("api"))
		s.hears("change 1", ":", ":")
		if took := time.Since(began); took != 2*heartbeat {
			t.Errorf("two signs of life after %s", took)
		}
		f.becomes("2")
		s.hears("change 2")
		if took := time.Since(began) - 2*heartbeat; took > time.Second {
			t.Errorf("a change was told after %s", took)
		}
	})
}

// Progress alone is told now and then; all else within a second, also beside it.
func TestEvents_ProgressIsToldLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := goesOn()
		f.change(func(f *followed) { f.version.Record = "r1" })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { // a loop that reports each second, a moment after it was looked for
			for n := 0; ctx.Err() == nil; n++ {
				f.change(func(f *followed) { f.version.Text, f.version.Progress = "p"+strconv.Itoa(n), true })
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		}()
		s := follow(t, serve(t, f.handler(t, Parts{})), eventsURL("api"))
		for n := range 3 {
			began := time.Now()
			event, err := s.next()
			for event == ":" && err == nil {
				event, err = s.next()
			}
			if took := time.Since(began); err != nil || n > 0 && (took < progressEvery || took > progressEvery+2*time.Second) {
				t.Errorf("%q after %s, %v", event, took, err)
			}
		}
		began := time.Now()
		f.change(func(f *followed) { f.version.Record = "r2" })
		if event, err := s.next(); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("a change of the record beside progress: %q after %s, %v", event, time.Since(began), err)
		}
	})
}

// A browser that asks again once it has heard the end is told to let it be; who comes
// anew hears it.
func TestEvents_NoMoreAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := goesOn()
		f.version.Over = true
		client := serve(t, f.handler(t, Parts{}))
		s := follow(t, client, eventsURL("api"))
		s.hears("change 1", "end 1")
		again := func() int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, eventsURL("api"), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Last-Event-ID", s.id)
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			return res.StatusCode
		}
		if status := again(); status != http.StatusNoContent {
			t.Errorf("asked again: status %d", status)
		}
		f.becomes("2") // such as the last logs
		if status := again(); status != http.StatusOK {
			t.Errorf("asked again after a change: status %d", status)
		}
	})
}

// A browser opens another by itself when one has come to its end.
func TestEvents_StreamDoesNotLastForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := follow(t, serve(t, goesOn().handler(t, Parts{Poll: time.Minute})), eventsURL("api"))
		s.hears("change 1")
		var got string
		var err error
		for got, err = s.next(); got == ":" && err == nil; got, err = s.next() {
		}
		if got != "" || !errors.Is(err, io.EOF) || time.Since(began) != longest {
			t.Errorf("heard %q, %v after %s; want the end of the stream", got, err, time.Since(began))
		}
	})
}

// The end of a stream is told as such, however long ago its last event was: who
// is cut off cannot tell it from a broken network.
func TestEvents_EndWithTheRightToSee(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *followed){
		"no_longer_their_tenant":  func(f *followed) { f.version.Tenant = "maps" },
		"forgotten":               func(f *followed) { f.version = timeline.Version{} },
		"store_does_not_answer":   func(f *followed) { f.err = errors.New("unavailable") },
		"not_theirs_and_over_too": func(f *followed) { f.version.Tenant, f.version.Over = "maps", true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := goesOn()
				s := follow(t, serve(t, f.handler(t, Parts{})), eventsURL("api"))
				s.hears("change 1")
				time.Sleep(writeFor + 2*time.Second) // the time to write that event is over
				f.change(change)
				s.ends()
			})
		})
	}
}

// refused wants the answer to one caller too many.
func refused(t *testing.T, client *http.Client) {
	t.Helper()
	res, leave := get(t, client, eventsURL("api")) //nolint:bodyclose // the end of the test closes it
	defer leave()
	var body struct{ Error struct{ Code, Remedy string } }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Error(err)
	}
	if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || wait < 1 {
		t.Errorf("Retry-After: %q", res.Header.Get("Retry-After"))
	}
	if res.StatusCode != http.StatusServiceUnavailable || body.Error.Code != "too_many_streams" || body.Error.Remedy == "" {
		t.Errorf("status %d, %+v", res.StatusCode, body)
	}
}

func TestEvents_WhoGoesAwayFreesTheirPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := serve(t, goesOn().handler(t, Parts{Streams: 2, Poll: time.Hour}))
		first, second := follow(t, client, eventsURL("api")), follow(t, client, eventsURL("api"))
		first.hears("change 1")
		second.hears("change 1")
		for range 5 { // who is refused takes no place, nor gives one away
			refused(t, client)
		}
		first.leave()
		synctest.Wait()
		third := follow(t, client, eventsURL("api"))
		third.hears("change 1")
		refused(t, client)
		second.leave()
		third.leave()
		synctest.Wait()
		follow(t, client, eventsURL("api")).hears("change 1")
		follow(t, client, eventsURL("api")).hears("change 1")
		refused(t, client)
	})
}

// Places come back however a stream ends.
func TestEvents_EachEndFreesAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := goesOn()
		client := serve(t, f.handler(t, Parts{Streams: 1}))
		for _, end := range []func(f *followed){
			func(f *followed) { f.version.Over = true },
			func(f *followed) { f.version.Tenant = "maps" },
			func(f *followed) { f.err = errors.New("unavailable") },
		} {
			s := follow(t, client, eventsURL("api"))
			s.hears("change 1")
			f.change(end)
			if _, err := io.Copy(io.Discard, s.lines); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			f.change(func(f *followed) { f.err, f.version = nil, goesOn().version })
		}
		follow(t, client, eventsURL("api")).hears("change 1")
	})
}

// Who asks for nothing but the head has nothing to follow.
func TestEvents_HeadTakesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := serve(t, goesOn().handler(t, Parts{Streams: 1, Poll: time.Hour}))
		res, err := client.Head(eventsURL("api"))
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("status %d, %v, %v", res.StatusCode, res.Header, err)
		}
		began := time.Now()
		follow(t, client, eventsURL("api")).hears("change 1")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("the next one waited for %s", waited)
		}
	})
}

// Who does not read stops only itself, and not for long.
func TestEvents_SlowClientHoldsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := goesOn()
		client := serve(t, f.handler(t, Parts{Streams: 2}))
		slow, quick := follow(t, client, eventsURL("api")), follow(t, client, eventsURL("api"))
		slow.hears("change 1")
		quick.hears("change 1")
		for i := 2; i < 5; i++ { // slow reads no more
			f.becomes(strconv.Itoa(i))
			changed := time.Now()
			quick.hears("change " + strconv.Itoa(i))
			if took := time.Since(changed); took > time.Second {
				t.Errorf("change %d was told after %s", i, took)
			}
		}
		refused(t, client)
		time.Sleep(writeFor)
		third := follow(t, client, eventsURL("api")) // in the place of the slow one
		third.hears("change 4")
		f.becomes("5")
		quick.hears("change 5")
		third.hears("change 5")
		if _, err := io.Copy(io.Discard, slow.lines); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("who did not read was cut off with %v", err)
		}
	})
}

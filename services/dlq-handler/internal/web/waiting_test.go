package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// While Pub/Sub is down a message is tried for as long as the server waits for an
// answer: whoever replays a letter must hear of it before the connection is shut.
func TestReplay_AnswersBeforeTheServerHangsUp(t *testing.T) {
	t.Parallel()
	if replayWithin >= shared.WriteTimeout || downloadWithin >= shared.WriteTimeout {
		t.Errorf("answers may take %s and %s, the server waits %s", replayWithin, downloadWithin, shared.WriteTimeout)
	}
	f := newFixture(t)
	f.patience = 50 * time.Millisecond
	id := f.desk.add("team-a")
	release, ended := make(chan struct{}), make(chan struct{}, 2)
	f.desk.replaying = func() { <-release; ended <- struct{}{} }
	server := shared.NewServer("127.0.0.1:0", f.Handler, time.Second, zerolog.Nop())
	if err := server.Listen(t.Context(), func(net.Addr) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for _, c := range []struct{ path, kind, body, code string }{
		{"/api/letters/", "application/json", "{}", `"code": "not_sent_yet"`},
		{"/letters/", "application/x-www-form-urlencoded", "reason=x", `data-code="not_sent_yet"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr()+c.path+id+"/replay", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.kind)
		res, err := client.Do(f.issuer.Request(t, r, operator))
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), c.code) || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, %v: %s", c.path, res.StatusCode, err, body)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	// What was begun goes on to its end.
	close(release)
	for range 2 {
		<-ended
	}
	tick, late := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for f.desk.state(id) != letters.StateReplayed {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the replay was given up with its answer")
		}
	}
}

func (d *desk) state(id string) letters.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.letters[id].State
}

// stream is a payload that is made as it is read, and knows how much of it was
// read and not passed on.
type stream struct {
	*httptest.ResponseRecorder
	left, held int64
	most       *atomic.Int64
}

func (s *stream) Read(p []byte) (int, error) {
	n := min(int64(len(p)), s.left)
	s.left, s.held = s.left-n, s.held+n
	for most := s.most.Load(); s.held > most && !s.most.CompareAndSwap(most, s.held); most = s.most.Load() {
	}
	if s.left == 0 {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (s *stream) Write(p []byte) (int, error) {
	s.held -= int64(len(p))
	return len(p), nil
}

func (s *stream) Close() error { return nil }

// Somebody downloads many of the largest letters at once.
func TestDownload_PassesOnAsItComes(t *testing.T) {
	t.Parallel()
	const size, downloads = 10_000_000, 20
	f := newFixture(t)
	var most atomic.Int64
	streams := map[string]*stream{}
	for range downloads {
		id := f.desk.add("team-a", func(l *letters.Letter) { l.Payload, l.PayloadURI = nil, "gs://bucket/object" })
		streams[id] = &stream{ResponseRecorder: httptest.NewRecorder(), left: size, most: &most}
	}
	f.desk.open = func(id string) (io.ReadCloser, int64) { return streams[id], size }
	var wg sync.WaitGroup
	for id, s := range streams {
		wg.Go(func() {
			r := f.issuer.Request(t, httptest.NewRequest(http.MethodGet, "https://dead-letters.example/letters/"+id+"/payload", http.NoBody), viewer)
			f.Handler.ServeHTTP(s, r)
			if s.Code != http.StatusOK || s.left != 0 || s.Header().Get("Content-Length") != "10000000" {
				t.Errorf("status %d, %d bytes left, %v", s.Code, s.left, s.Header())
			}
		})
	}
	wg.Wait()
	if most.Load() > 64<<10 {
		t.Errorf("%d bytes of one letter were in memory at once", most.Load())
	}
}

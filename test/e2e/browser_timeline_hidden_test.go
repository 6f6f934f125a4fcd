//go:build integration

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/envision/resiliency/test/browser"
	"github.com/envision/resiliency/test/stack"
)

// front stands before the pages and counts the streams that browsers ask for. It has
// them ask again at once where they would wait for seconds.
type front struct {
	*httptest.Server

	// asked is how many streams were asked for, ended how many have come to an end.
	asked, ended atomic.Int64
}

func newFront(t *testing.T, pages string) *front {
	t.Helper()
	to, err := url.Parse(pages)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(res *http.Response) error {
			if res.Header.Get("Content-Type") == "text/event-stream" {
				res.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(strings.NewReader("retry: 10\n\n"), res.Body), res.Body}
			}
			return nil
		},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			f.asked.Add(1)
			defer f.ended.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// isHidden follows a job in a tab that nobody looks at: once the job is over it asks for
// nothing more, and shows the end when it is looked at again.
//
//nolint:thelper // a part of the test
func (s *system) isHidden(t *testing.T, b *browser.Browser, pages string) {
	f := newFront(t, pages)
	p := b.Open(t, browser.Desktop()) // it is closed before what it asks
	id := s.opensRunning(t, p, f.URL, "hidden-", 8*time.Second)
	p.Until("the stream", func() bool { return f.asked.Load()-f.ended.Load() == 1 })
	before := f.asked.Load()
	browser.Eval[bool](p, `Object.defineProperty(document, "hidden", {configurable: true, get: () => true}) === document`)
	s.awaitState(id, "SUCCEEDED")
	p.Until("the end of the stream", func() bool { return f.asked.Load() == f.ended.Load() })
	browser.Eval[int](p, `setTimeout(() => { window.waited = true }, 500)`)
	p.Until("time to ask again", func() bool { return browser.Eval[bool](p, `window.waited === true`) })
	if more := f.asked.Load() - before; more != 0 {
		t.Errorf("a hidden tab asks %d times more for a job that is over", more)
	}
	if !p.Is("#job", `el.dataset.state === "RUNNING"`) {
		t.Error("a hidden tab reads the page")
	}
	browser.Eval[bool](p, `delete document.hidden && document.dispatchEvent(new Event("visibilitychange"))`)
	p.Await(`#job[data-state="SUCCEEDED"]`)
	if more := f.asked.Load() - before; more != 0 {
		t.Errorf("looked at again, it asks %d times more", more)
	}
}

// opensRunning opens the page of a job while it runs: a busy machine may need longer
// than the first job to show it.
func (s *system) opensRunning(t *testing.T, p *browser.Page, pages, name string, after time.Duration) (id string) {
	t.Helper()
	for ; ; after *= 2 {
		id := name + after.String()
		s.pipeline(id, stack.JobSpec{After: after})
		s.awaitState(id, "RUNNING")
		p.Visit(pages + "/jobs/" + id)
		if p.Is("#job", `el.dataset.state === "RUNNING" && "follow" in el.dataset`) {
			return id
		}
		if after > time.Minute {
			t.Fatal("the page of a job that runs does not follow it")
		}
	}
}

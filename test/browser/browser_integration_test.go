//go:build integration

package browser_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/test/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves one page under a strict policy, and what its forms send.
func serve(t *testing.T, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; img-src data:")
		switch r.URL.Path {
		case "/":
			_, _ = w.Write([]byte("<!doctype html><title>t</title>" + body))
		case "/faults.js":
			_, _ = w.Write([]byte(`console.error("oh", 1); setTimeout(() => { throw new Error("broken") }, 0)`))
		case "/echo":
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><title>t</title><p id=said>` + strconv.Quote(r.FormValue("word"))))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPage_complains(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	cases := map[string]struct{ body, want string }{
		"console":   {`<script src="/faults.js"></script>`, "console error"},
		"exception": {`<script src="/faults.js"></script>`, "broken"},
		"policy":    {`<script>document.title = "ran"</script>`, "content security policy: script-src-elem"},
		"handler":   {`<img src="/none.png" onerror="document.title = 'ran'">`, "content security policy: img-src"},
		"missing":   {`<script src="/none.js"></script>`, "404"},
		"nothing":   {`<p>well</p><link rel="icon" href="data:,">`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := b.Open(t, browser.Phone())
			p.Visit(serve(t, c.body))
			var heard []string
			// An exception may come after the page has loaded.
			p.Until("a complaint", func() bool {
				heard = append(heard, p.Complaints()...)
				return c.want == "" || strings.Contains(strings.Join(heard, "\n"), c.want)
			})
			if c.want == "" && len(heard) > 0 {
				t.Errorf("complaints about nothing: %q", heard)
			}
			if browser.Eval[string](p, "document.title") != "t" {
				t.Error("the policy did not hold")
			}
		})
	}
}

func TestPage_acts_as_a_person(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	address := serve(t, `<link rel="icon" href="data:,"><style>a { outline: none }</style><a id=bare href="/none">bare</a>
		<form action="/echo" method="post"><label>word <input name=word id=word></label><button id=send>send</button></form>`)
	p := b.Open(t, browser.Desktop())
	if status := p.Visit(address); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	p.Tab("#word")
	p.Type("häß")
	if status := p.Enter(); status != http.StatusAccepted {
		t.Errorf("status %d of the form", status)
	}
	if said := p.Text("#said"); said != `"häß"` {
		t.Errorf("the form sent %s", said)
	}
	p.Visit(address)
	p.Fill("#word", "a")
	p.Fill("#word", "b")
	p.Follow("#send")
	if said := p.Text("#said"); said != `"b"` {
		t.Errorf("the form sent %s", said)
	}
}

func TestPage_finds_barriers(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	const frame = `<html lang="en"><link rel="icon" href="data:,"><main><h1>Words</h1>%s</main>`
	engine := filepath.Join("..", "..", ".tools", "bin", "axe.min.js")
	cases := map[string]struct{ body, want string }{
		"field":    {`<input name=word>`, "critical label"},
		"contrast": {`<p style="color: #aaa; background: #fff">faint</p>`, "serious color-contrast"},
		"image":    {`<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">`, "critical image-alt"},
		"nothing":  {`<label>word <input name=word></label>`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := b.Open(t, browser.Desktop())
			p.Visit(serve(t, strings.Replace(frame, "%s", c.body, 1)))
			found := p.Barriers(engine)
			if c.want == "" && len(found) > 0 || c.want != "" && !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

func TestPage_measures_what_sticks_out(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	address := serve(t, `<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
		<style>@media (prefers-color-scheme: dark) { body { background: #000 } }</style><div id=wide style="width: 500px">wide</div>`)
	phone, desktop := b.Open(t, browser.Phone()), b.Open(t, browser.Desktop().InDark())
	phone.Visit(address)
	desktop.Visit(address)
	if pixels, by := phone.Overflow(); pixels < 140 || len(by) != 1 || !strings.Contains(by[0], "wide") {
		t.Errorf("overflow of %d pixels by %q", pixels, by)
	}
	if pixels, _ := desktop.Overflow(); pixels != 0 {
		t.Errorf("overflow of %d pixels on a desktop", pixels)
	}
	if colour := browser.Eval[string](desktop, "getComputedStyle(document.body).backgroundColor"); colour != "rgb(0, 0, 0)" {
		t.Errorf("the background is %s in the dark", colour)
	}
	picture := filepath.Join(t.TempDir(), "sub", "p.png")
	desktop.Picture(picture)
	if data, err := os.ReadFile(picture); err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("picture: %v, %d bytes", err, len(data))
	}
}

// A browser that stays behind takes a core and 200 MB for good.
//
//nolint:tparallel // the second part is about what the first one has left
func TestBrowser_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	var folder string
	t.Run("use", func(t *testing.T) {
		b := browser.Start(t)
		folder = b.Folder()
		b.Open(t, browser.Phone()).Visit(serve(t, `<link rel="icon" href="data:,">`))
		if n := len(using(t, folder)); n < 2 {
			t.Errorf("%d processes use %s while it runs", n, folder)
		}
	})
	if left := using(t, folder); len(left) > 0 {
		t.Errorf("processes that still run: %q", left)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the folder %s is still there: %v", folder, err)
	}
}

// using lists the command lines that name a folder.
func using(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		// A process that has ended meanwhile is not of interest.
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(folder)) {
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}

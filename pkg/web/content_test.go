package web_test

import (
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/web"
)

const nasty = "<script>alert(1)</script>\"'&\x00\x1b[31m\u202Eevil\u200b\xff\nשלום"

func TestPages_ShowNastyTextAsItIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Get("/text", s.errs.Handle(func(w http.ResponseWriter, r *http.Request) error {
		r = r.WithContext(authn.NewContext(r.Context(), authn.Identity{Email: "<i>@example.com", Role: authn.RoleViewer}))
		return s.pages.Render(w, r, http.StatusOK, "text", "T "+nasty, nasty)
	}))
	w := s.get("/text")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	body := w.Body.String()
	for _, bad := range []string{"<script>alert", "\u202e", "\u200b", "\x00", "\x1b", "\xff", "<i>"} {
		if strings.Contains(body, bad) {
			t.Errorf("page has %q", bad)
		}
	}
	has(t, w, `<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;\u0000\u001b[31m\u202eevil\u200b\xff`, "שלום",
		`<a href="/text" aria-current="page">`, `<a class="skip" href="#main">`, `<main id="main"`, `<html lang="en">`, "viewer")
	if strings.Contains(body, "style=") || regexp.MustCompile(`\son[a-z]+=`).MatchString(body) {
		t.Error("page has inline style or script, which its policy forbids")
	}
}

func TestPages_NeverHalfAPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, name := range []string{"broken", "absent"} {
		s.Get("/"+name, s.errs.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return s.pages.Render(w, r, http.StatusOK, name, "T", struct{}{})
		}))
		w := s.get("/" + name)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "half of it") {
			t.Errorf("%s: %d\n%s", name, w.Code, w.Body)
		}
	}
}

func TestNewPages_Faults(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, files := range map[string]fstest.MapFS{
		"page": {"a.html": {Data: []byte("{{define")}},
		"part": {"_a.html": {Data: []byte("{{nonsense}}")}},
	} {
		if _, err := web.NewPages("T", nil, s.assets, files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, name := range []string{"style.css", "live.js", "icon.svg", "own.css"} {
		path, err := s.assets.Path(name)
		if err != nil {
			t.Fatal(err)
		}
		w := s.get(path)
		if w.Code != http.StatusOK || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", path, w.Code, w.Header())
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
		if again := s.get(path, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: status %d", path, again.Code)
		}
	}
	if w := s.get("/static/style.0000000000000000.css"); w.Code != http.StatusNotFound {
		t.Errorf("another version: status %d", w.Code)
	}
	if _, err := s.assets.Path("none"); err == nil {
		t.Error("no error for a file that is not there")
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	type place struct {
		At time.Time
		ID string
	}
	want := place{time.Date(2026, 11, 21, 20, 0, 0, 123000, time.UTC), "l-1"}
	text, err := web.EncodeCursor("letters state=OPEN", want)
	if err != nil {
		t.Fatal(err)
	}
	var got place
	if err := web.DecodeCursor(text, "letters state=OPEN", &got); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	bad := map[string]string{
		"other_list": text, "empty": "", "cut": text[:len(text)-3], "changed": "A" + text[1:], "padded": text + "==",
		"not_base64": "%%%", "not_json": "aGVsbG8", "null": "bnVsbA", "too_long": strings.Repeat("A", 2000),
		"newer_version": "eyJ2IjoyLCJzIjoiIiwicCI6e319",
	}
	for name, text := range bad {
		scope := "letters state=OPEN"
		if name == "other_list" {
			scope = "letters state=REPLAYED"
		}
		var got place
		err := web.DecodeCursor(text, scope, &got)
		e, ok := err.(*web.Error) //nolint:errorlint // must be the very type
		if !ok || e.Status != http.StatusBadRequest || e.Code != "bad_cursor" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := web.EncodeCursor("x", math.NaN()); err == nil {
		t.Error("no error for what JSON cannot hold")
	}
}

func FuzzCursor(f *testing.F) {
	text, err := web.EncodeCursor("s", map[string]string{"id": "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("bnVsbA")
	f.Fuzz(func(t *testing.T, text string) {
		var place map[string]string
		if err := web.DecodeCursor(text, "s", &place); err != nil {
			if _, ok := err.(*web.Error); !ok { //nolint:errorlint // must be the very type
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	const kind = "application/json; charset=utf-8"
	cases := []struct {
		name, kind, body string
		status           int
	}{
		{"good", kind, `{"reason":"x"}`, 0},
		{"empty", "", "", 0},
		{"text", "text/plain", `{"reason":"x"}`, 415},
		{"no_type", "", `{"reason":"x"}`, 415},
		{"unknown_field", kind, `{"reson":"x"}`, 400},
		{"two_values", kind, `{"reason":"x"}{}`, 400},
		{"trailing_garbage", kind, `{"reason":"x"}}`, 400},
		{"wrong_type", kind, `{"reason":7}`, 400},
		{"cut", kind, `{"reason":`, 400},
		{"too_large", kind, `{"reason":"` + strings.Repeat("x", web.MaxBody) + `"}`, 413},
	}
	s := newSite(t)
	s.Post("/api/read", s.errs.Handle(func(w http.ResponseWriter, r *http.Request) error {
		var v struct{ Reason string }
		if err := web.ReadJSON(r, &v); err != nil {
			return err
		}
		web.WriteJSON(w, http.StatusOK, v)
		return nil
	}))
	for _, tc := range cases {
		w := s.do(http.MethodPost, "/api/read", tc.body, "Content-Type", tc.kind)
		if want := max(tc.status, 200); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", tc.name, w.Code, want, w.Body)
		}
	}
}

func TestReadForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Post("/read", s.errs.Handle(func(http.ResponseWriter, *http.Request) error { return nil }))
	s.Post("/form", s.errs.Handle(func(_ http.ResponseWriter, r *http.Request) error { return web.ReadForm(r) }))
	const kind = "application/x-www-form-urlencoded"
	for body, want := range map[string]int{"a=b": 200, "a=%zz": 400, "a=" + strings.Repeat("x", web.MaxBody): 413} {
		if w := s.do(http.MethodPost, "/form", body, "Content-Type", kind); w.Code != want {
			t.Errorf("body of %d bytes: status %d, want %d", len(body), w.Code, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 20 * time.Millisecond: "20ms", 1550 * time.Millisecond: "1.5s", 125 * time.Second: "2m 5s", time.Hour: "1h",
		76*time.Hour + 5*time.Minute: "3d 4h", -90 * time.Second: "-1m 30s", math.MinInt64: "-106751d 23h",
	} {
		if got := web.Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 3500: "3.4 KiB", 10 << 20: "10 MiB", 5 << 40: "5 TiB"} {
		if got := web.Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 letters", 1: "1 letter", 999: "999 letters", 5000: "5,000 letters", 1234567: "1,234,567 letters", -1000: "-1,000 letters"} {
		if got := web.Count(n, "letter"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	if got := web.Time(time.Date(2026, 11, 21, 20, 0, 0, 5, time.FixedZone("x", 3600))); got !=
		`<time datetime="2026-11-21T19:00:00.000000005Z">2026-11-21 19:00:00 UTC</time>` {
		t.Errorf("Time = %s", got)
	}
	if got := web.Time(time.Time{}); strings.Contains(string(got), "0001") {
		t.Errorf("zero Time = %s", got)
	}
	if got := web.Visible("a\u00adb\U000e0041\r\u2028"); got != `a\u00adb\U000e0041\u000d\u2028` {
		t.Errorf("Visible = %s", got)
	}
}

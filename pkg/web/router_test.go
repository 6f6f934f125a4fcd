package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/web"
)

func TestRouter_SecurityHeadersOnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("oops") })
	for _, target := range []string{"/", "/panic", "/api/x", "/static/none.css", "/static/../x"} {
		h := s.get(target).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s = %q, want %q in it", target, name, h.Get(name), want)
			}
		}
		for _, unsafe := range []string{"unsafe-inline", "unsafe-eval", "*", "http:"} {
			if strings.Contains(h.Get("Content-Security-Policy"), unsafe) {
				t.Errorf("%s: policy has %s", target, unsafe)
			}
		}
	}
}

func TestRouter_RequestID(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for given, kept := range map[string]bool{"abc-12345": true, "short": false, "a b\"c d e f": false, strings.Repeat("x", 65): false} {
		w := s.get("/nothing", "X-Request-Id", given)
		id := w.Header().Get("X-Request-Id")
		if (id == given) != kept || id == "" {
			t.Errorf("id %q became %q", given, id)
		}
		has(t, w, id)
	}
}

func TestRouter_Errors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	answers := map[string]struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		"bad":         {web.BadRequest("bad_x", "X is <b>bad</b>.", "Mend X."), 400, "bad_x", false},
		"missing":     {web.NotFound("No such letter."), 404, "not_found", false},
		"conflict":    {web.Conflict("busy", "Busy.", ""), 409, "busy", false},
		"down":        {status.Error(codes.Unavailable, "secret host"), 503, "unavailable", true},
		"unknown":     {errors.New("secret thing"), 500, "internal", false},
		"too_large":   {&http.MaxBytesError{Limit: 1}, 413, "body_too_large", false},
		"not_allowed": {nil, 403, "not_allowed", false},
	}
	for name, answer := range answers {
		handler := s.errs.Handle(func(w http.ResponseWriter, r *http.Request) error {
			if answer.err == nil {
				s.errs.Refuse(w, r, &authn.Refusal{Status: 403, Outcome: authn.OutcomeNotAllowed, Message: "Not you."})
			}
			return answer.err
		})
		s.Get("/api/"+name, handler)
		s.Get("/"+name, handler)
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := s.get("/api/" + name)
			var body struct {
				Error struct{ Code, Message, Remedy string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != answer.status || body.Error.Code != answer.code || body.Error.Message == "" {
				t.Errorf("got %d %+v, want %d %s", w.Code, body, answer.status, answer.code)
			}
			page := s.get("/" + name)
			if page.Code != answer.status || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
				t.Errorf("page: %d %s", page.Code, page.Header().Get("Content-Type"))
			}
			has(t, page, `role="alert"`, `data-code="`+answer.code+`"`, "<html lang=")
			for _, w := range []*httptest.ResponseRecorder{w, page} {
				if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "<b>") {
					t.Errorf("shows what it must not:\n%s", w.Body)
				}
				if got := w.Header().Get("Retry-After") != ""; got != answer.retry {
					t.Errorf("Retry-After present %v, want %v", got, answer.retry)
				}
			}
		})
	}
}

func TestRouter_NothingThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Get("/api/x", func(http.ResponseWriter, *http.Request) {})
	if w := s.get("/nowhere"); w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
	w := s.do(http.MethodDelete, "/api/x", "")
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("status %d", w.Code)
	}
	has(t, w, `"code": "method_not_allowed"`, "does not take DELETE requests")
}

func TestRouter_Panics(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Get("/api/early", func(http.ResponseWriter, *http.Request) { panic("oops") })
	s.Get("/late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("oops")
	})
	w := s.get("/api/early")
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
	has(t, w, `"code": "internal"`)
	if strings.Contains(w.Body.String(), "oops") {
		t.Errorf("shows the panic: %s", w.Body)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	res, err := server.Client().Get(server.URL + "/late")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("an answer that broke off looks whole")
	}
	if n := s.metric(t, "resiliency_web_panics_total")[0].GetCounter().GetValue(); n != 2 {
		t.Errorf("%v panics counted, want 2", n)
	}
	if !strings.Contains(s.log.String(), "stack_trace") || !strings.Contains(s.log.String(), "oops") {
		t.Errorf("log lacks the panic:\n%s", s.log)
	}
}

func TestRouter_LogsNoQueryAndBoundsItsLabels(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Post("/letters/{id}", func(http.ResponseWriter, *http.Request) {})
	s.do(http.MethodPost, "/letters/abc?token=secret", "body=secret")
	s.do("INVENTED", "/whatever/1", "")
	s.get("/whatever/2")
	if log := s.log.String(); strings.Contains(log, "secret") || !strings.Contains(log, `"route":"/letters/{id}"`) {
		t.Errorf("log:\n%s", log)
	}
	var routes []string
	for _, m := range s.metric(t, "resiliency_web_requests_total") {
		for _, l := range m.GetLabel() {
			if strings.Contains(l.GetValue(), "whatever") || l.GetValue() == "INVENTED" || l.GetValue() == "/letters/abc" {
				t.Errorf("label %s = %q", l.GetName(), l.GetValue())
			}
			if l.GetName() == "route" {
				routes = append(routes, l.GetValue())
			}
		}
	}
	if len(routes) == 0 {
		t.Error("nothing counted")
	}
}

func TestRouter_CrossSiteWritesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	calls := 0
	s.Post("/do", func(http.ResponseWriter, *http.Request) { calls++ })
	s.Get("/do", func(http.ResponseWriter, *http.Request) { calls++ })
	cases := []struct {
		name, method string
		headers      []string
		ok           bool
	}{
		{"other_site", http.MethodPost, []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"same_site", http.MethodPost, []string{"Sec-Fetch-Site", "same-site"}, false},
		{"old_browser", http.MethodPost, []string{"Origin", "https://evil.example"}, false},
		{"null_origin", http.MethodPost, []string{"Origin", "null"}, false},
		{"own_form", http.MethodPost, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, true},
		{"own_form_old_browser", http.MethodPost, []string{"Origin", "http://example.com"}, true},
		{"no_browser", http.MethodPost, nil, true},
		{"link_from_elsewhere", http.MethodGet, []string{"Sec-Fetch-Site", "cross-site"}, true},
	}
	for _, tc := range cases {
		before := calls
		w := s.do(tc.method, "http://example.com/do", "", tc.headers...)
		if done := calls > before; done != tc.ok || (!tc.ok && w.Code != http.StatusForbidden) {
			t.Errorf("%s: carried out %v, status %d", tc.name, done, w.Code)
		}
		if !tc.ok {
			has(t, w, `data-code="cross_origin"`)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	limit, err := web.RateLimit(web.Config{Rate: 0.001, Burst: 2}, s.errs, s.reg)
	if err != nil {
		t.Fatal(err)
	}
	handler := limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	call := func(subject, remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/x", http.NoBody)
		r.RemoteAddr = remote
		if subject != "" {
			r = r.WithContext(authn.NewContext(r.Context(), authn.Identity{Subject: subject}))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for _, who := range [][2]string{{"ana", "10.0.0.1:1"}, {"bob", "10.0.0.1:1"}, {"", "10.0.0.1:1"}, {"", "10.0.0.2:1"}} {
		for i := range 2 {
			if w := call(who[0], who[1]); w.Code != http.StatusOK {
				t.Errorf("%v request %d: status %d", who, i, w.Code)
			}
		}
		// Another port is the same caller.
		w := call(who[0], strings.TrimSuffix(who[1], "1")+"2")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v after its burst: status %d", who, w.Code)
		}
		has(t, w, `"code": "too_many_requests"`)
	}
}

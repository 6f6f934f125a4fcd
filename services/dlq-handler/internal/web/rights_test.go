package web

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/pkg/authn/authntest"
	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// route is one route, with what may be asked of it.
type route struct {
	method, pattern string
	body            string
	// Status of the answer to each kind of caller, on a thing of team-a.
	viewer, operator, mixed, root int
}

func routes() []route {
	const ok, seeOther, accepted, forbidden = 200, 303, 202, 403
	return []route{
		{"GET", "/", "", seeOther, seeOther, seeOther, seeOther},
		{"GET", "/letters", "", ok, ok, ok, ok},
		{"GET", "/api/letters", "", ok, ok, ok, ok},
		{"GET", "/letters/{id}", "", ok, ok, ok, ok},
		{"GET", "/api/letters/{id}", "", ok, ok, ok, ok},
		{"GET", "/letters/{id}/payload", "", ok, ok, ok, ok},
		{"GET", "/api/letters/{id}/payload", "", ok, ok, ok, ok},
		{"GET", "/operations", "", ok, ok, ok, ok},
		{"GET", "/api/operations", "", ok, ok, ok, ok},
		{"GET", "/operations/{id}", "", ok, ok, ok, ok},
		{"GET", "/api/operations/{id}", "", ok, ok, ok, ok},
		{"GET", "/audit", "", forbidden, forbidden, forbidden, ok},
		{"GET", "/api/audit", "", forbidden, forbidden, forbidden, ok},
		{"GET", "/replays/new", "", forbidden, ok, ok, ok},
		{"POST", "/letters/{id}/replay", "reason=x", forbidden, seeOther, seeOther, seeOther},
		{"POST", "/api/letters/{id}/replay", `{"reason":"x"}`, forbidden, ok, ok, ok},
		{"POST", "/letters/{id}/discard", "reason=x", forbidden, seeOther, seeOther, seeOther},
		{"POST", "/api/letters/{id}/discard", `{"reason":"x"}`, forbidden, ok, ok, ok},
		{"POST", "/replays", "fingerprint=f-1&reason=x", forbidden, seeOther, seeOther, seeOther},
		{"POST", "/api/replays", `{"filter":{"fingerprint":"f-1"},"reason":"x"}`, forbidden, accepted, accepted, accepted},
		{"POST", "/operations/{id}/cancel", "reason=x", forbidden, seeOther, seeOther, seeOther},
		{"POST", "/api/operations/{id}/cancel", "{}", forbidden, ok, ok, ok},
	}
}

// with puts the id of a new letter or operation of that tenant into the pattern.
func (rt route) with(d *desk, tenant string) string {
	var id string
	if strings.Contains(rt.pattern, "operations") {
		id = d.operate(tenant)
	} else {
		id = d.add(tenant)
	}
	return strings.Replace(rt.pattern, "{id}", id, 1)
}

func (d *desk) operate(tenant string) string {
	filter := letters.Filter{State: letters.StateOpen, Tenants: []string{tenant}}
	if tenant == "" {
		filter.Tenants = nil
	}
	id := fmt.Sprintf("op-%d", len(d.operations))
	d.operations[id] = &letters.Operation{ID: id, State: letters.OperationRunning, Filter: filter, CreatedAt: now, Matched: 3}
	return id
}

func TestRoutes_EveryRouteKnowsWhoMayCallIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var known []string
	for _, rt := range routes() {
		known = append(known, rt.method+" "+rt.pattern)
		for who, status := range map[string]int{viewer: rt.viewer, operator: rt.operator, mixed: rt.mixed, root: rt.root, stranger: 403, "": 401} {
			w := f.do(who, rt.method, rt.with(f.desk, "team-a"), rt.body)
			if w.Code != status {
				t.Errorf("%s %s as %q: status %d, want %d\n%s", rt.method, rt.pattern, who, w.Code, status, w.Body)
			}
		}
	}
	router, _ := f.Handler.(chi.Routes)
	err := chi.Walk(router, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if pattern != "/" && pattern != "/static/{name}" && !slices.Contains(known, method+" "+pattern) {
			t.Errorf("%s %s: nobody has said who may call it", method, pattern)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoutes_OthersThingsDoNotExist(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, rt := range routes() {
		if !strings.Contains(rt.pattern, "{id}") {
			continue
		}
		for _, tenant := range []string{"team-z", ""} {
			got := f.do(operator, rt.method, rt.with(f.desk, tenant), rt.body)
			absent := f.do(operator, rt.method, strings.Replace(rt.pattern, "{id}", "absent", 1), rt.body)
			want(t, got, http.StatusNotFound)
			want(t, absent, http.StatusNotFound)
			if strip(got) != strip(absent) {
				t.Errorf("%s of %q differs from one that does not exist:\n%s\n%s", rt.pattern, tenant, got.Body, absent.Body)
			}
		}
	}
	if len(f.desk.sent)+len(f.desk.audits) > 0 {
		t.Errorf("sent %v, audited %v", f.desk.sent, f.desk.audits)
	}
}

// strip takes the id of the request out of an answer.
func strip(w *httptest.ResponseRecorder) string {
	return strings.ReplaceAll(w.Body.String(), w.Header().Get("X-Request-Id"), "")
}

func TestRoutes_ReadingIsNotOperating(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id, op := f.desk.add("team-b"), f.desk.operate("team-b")
	want(t, f.get(mixed, "/api/letters/"+id), http.StatusOK)
	lacks(t, f.get(mixed, "/letters/"+id), `id="replay"`, `id="discard"`)
	want(t, f.post(mixed, "/api/letters/"+id+"/replay", "{}"), http.StatusForbidden, "may look at this letter and not change it")
	want(t, f.post(mixed, "/api/letters/"+id+"/discard", `{"reason":"x"}`), http.StatusForbidden)
	want(t, f.get(mixed, "/api/operations/"+op), http.StatusOK)
	lacks(t, f.get(mixed, "/operations/"+op), `id="cancel"`)
	want(t, f.post(mixed, "/api/operations/"+op+"/cancel", "{}"), http.StatusNotFound)
	// A replay by filter takes only what the caller operates.
	f.desk.add("team-a")
	f.desk.add("team-z")
	f.desk.add("")
	want(t, f.post(mixed, "/api/replays", `{"dry_run":true,"filter":{"fingerprint":"f-1"}}`), http.StatusOK, `"matched": 1`)
	want(t, f.post(mixed, "/api/replays", `{"dry_run":true,"filter":{"tenant":"team-b"}}`), http.StatusOK, `"matched": 0`)
	want(t, f.post(root, "/api/replays", `{"dry_run":true,"filter":{"fingerprint":"f-1"}}`), http.StatusOK, `"matched": 4`)
}

func TestRoutes_ListsHoldOwnTenantsOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, b, none := f.desk.add("team-a"), f.desk.add("team-b"), f.desk.add("")
	opA, opB, opAll := f.desk.operate("team-a"), f.desk.operate("team-b"), f.desk.operate("")
	for who, sees := range map[string][]string{viewer: {a, opA}, mixed: {a, b, opA, opB}, root: {a, b, none, opA, opB, opAll}} {
		text := f.get(who, "/api/letters").Body.String() + f.get(who, "/letters").Body.String() +
			f.get(who, "/api/operations").Body.String() + f.get(who, "/operations").Body.String()
		for _, id := range []string{a, b, none, opA, opB, opAll} {
			if got := strings.Contains(text, id+`"`); got != slices.Contains(sees, id) {
				t.Errorf("%s sees %s: %v", who, id, got)
			}
		}
	}
	lacks(t, f.get(viewer, "/api/letters?tenant=team-b"), b)
	want(t, f.get(mixed, "/api/letters?tenant=team-b"), http.StatusOK, b)
	lacks(t, f.get(mixed, "/api/letters?tenant=team-b"), a)
}

func TestRoutes_BadTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a")
	good := authntest.IAP(root, "aud", time.Now())
	payload := strings.Split(f.issuer.Sign(t, "iap-1", good), ".")[1]
	cases := map[string]struct{ token, code string }{
		"wrong_audience": {f.issuer.Sign(t, "iap-1", good.With("aud", "other")), "wrong_audience"},
		"expired":        {f.issuer.Sign(t, "iap-1", authntest.IAP(root, "aud", time.Now().Add(-time.Hour))), "expired"},
		"alg_none":       {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".", "malformed_token"},
		"garbage":        {"a.b.c", "malformed_token"},
	}
	for name, tc := range cases {
		for _, rt := range routes() {
			target := strings.Replace(rt.pattern, "{id}", id, 1)
			w := f.do("", rt.method, target, rt.body, "X-Goog-Iap-Jwt-Assertion", tc.token)
			if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), tc.code) {
				t.Errorf("%s: %s %s: %d %s", name, rt.method, rt.pattern, w.Code, w.Body)
			}
		}
	}
	if len(f.desk.sent)+len(f.desk.started)+len(f.desk.audits) > 0 {
		t.Error("something was carried out")
	}
}

func TestRoutes_CrossSiteWrites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, rt := range routes() {
		if rt.method != http.MethodPost {
			continue
		}
		target := rt.with(f.desk, "team-a")
		want(t, f.do(root, rt.method, target, rt.body, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "cross_origin")
		want(t, f.do(root, rt.method, target, rt.body, "Origin", "https://evil.example"), http.StatusForbidden, "cross_origin")
		if len(f.desk.sent)+len(f.desk.started)+len(f.desk.audits) > 0 {
			t.Fatalf("%s was carried out", rt.pattern)
		}
		if strings.HasPrefix(rt.pattern, "/api/") && rt.body != "" {
			// What a form of another site can send without being asked is no JSON.
			w := f.do(root, rt.method, target, rt.body, "Content-Type", "text/plain")
			want(t, w, http.StatusUnsupportedMediaType)
		}
		w := f.do(root, rt.method, target, rt.body, "Sec-Fetch-Site", "same-origin", "Origin", "https://dead-letters.example")
		if w.Code >= 400 {
			t.Errorf("%s of our own page: %d", rt.pattern, w.Code)
		}
		f.desk.sent, f.desk.started, f.desk.audits = nil, nil, nil
	}
}

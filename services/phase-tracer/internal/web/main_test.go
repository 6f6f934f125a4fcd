package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/search"
	shared "github.com/envision/resiliency/pkg/web"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is what the pages read, in memory.
type shelf struct {
	mu     sync.Mutex
	jobs   search.Page
	lines  map[string]*timeline.Timeline
	ledger web.Ledger
	err    error
	asked  []asked
	window time.Duration
}

type asked struct {
	Filter search.Filter
	After  *search.Cursor
	Limit  int
}

func (s *shelf) Find(_ context.Context, f search.Filter, after *search.Cursor, limit int) (search.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asked{f, after, limit})
	return s.jobs, s.err
}

func (s *shelf) Timeline(_ context.Context, id string) (*timeline.Timeline, bool, error) {
	t, ok := s.lines[id]
	return t, ok && s.err == nil, s.err
}

func (s *shelf) Ledger(_ context.Context, window time.Duration) (*web.Ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = window
	return &s.ledger, s.err
}

// fixture is the pages over a shelf.
type fixture struct {
	http.Handler
	*shelf
}

// now is when everything is looked at.
func now() time.Time { return at(900) }

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{shelf: &shelf{lines: map[string]*timeline.Timeline{}}}
	log := zerolog.Nop()
	site, err := web.New(web.Parts{Jobs: f.shelf, Finder: f.shelf, Ledger: f.shelf, LettersURL: "https://letters.example.com/", Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	router := shared.NewRouter(site.Errors, site.Assets, prometheus.NewRegistry(), log)
	router.Group(site.Routes)
	f.Handler = router
	return f
}

// everybody sees all tenants; ana those of studio.
func everybody() authn.Identity {
	return authn.Identity{Subject: "1", Email: "ops@example.com", Role: authn.RoleOperator, Read: authn.Tenants{All: true}}
}

func ana() authn.Identity {
	return authn.Identity{Subject: "2", Email: "ana@example.com", Role: authn.RoleViewer, Read: authn.Tenants{Names: []string{"studio"}}}
}

func (f *fixture) get(who authn.Identity, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), who)))
	return w
}

// page gets a page that must be there.
func (f *fixture) page(t testing.TB, target string) *node {
	t.Helper()
	w := f.get(everybody(), target)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d:\n%s", target, w.Code, w.Body)
	}
	return parse(t, w.Body.String())
}

// node is a part of a page.
type node struct{ *html.Node }

func parse(t testing.TB, text string) *node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("parse the page: %v", err)
	}
	return &node{root}
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// all returns the elements of one name, of every name for "".
func (n *node) all(name string) []*node {
	var out []*node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (name == "" || d.Data == name) {
			out = append(out, &node{d})
		}
	}
	return out
}

// id returns the element of that id, which must be there.
func (n *node) id(t testing.TB, id string) *node {
	t.Helper()
	for _, e := range n.all("") {
		if got, ok := attribute(e.Node, "id"); ok && got == id {
			return e
		}
	}
	t.Fatalf("there is no element #%s", id)
	return nil
}

// has reports whether one of the element's classes is that one.
func (n *node) has(class string) bool {
	classes, _ := attribute(n.Node, "class")
	return slices.Contains(strings.Fields(classes), class)
}

// class returns the elements that have the class.
func (n *node) class(class string) []*node {
	return slices.DeleteFunc(n.all(""), func(e *node) bool { return !e.has(class) })
}

func (n *node) attr(name string) string {
	value, _ := attribute(n.Node, name)
	return value
}

// text is what the element says, each run of white space as one space.
func (n *node) text() string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "title" {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func says(t testing.TB, n *node, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(n.text(), text) {
			t.Errorf("%q is not said in:\n%s", text, n.text())
		}
	}
}

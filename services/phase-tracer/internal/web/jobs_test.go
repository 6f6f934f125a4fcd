package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/jobstore/search"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

func TestJobs_List(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.jobs = search.Page{Next: &search.Cursor{At: at(2), ID: "render-8"}, Rows: []search.Row{
		{
			JobID: "render-7", State: "FAILED", Stage: "kubernetes", Cause: "OOM", Owner: "ana@example.com", Tenant: "studio", Attempt: 2,
			OccurredAt: at(1), UpdatedAt: at(2),
		},
		{JobID: "render-8"},
	}}
	p := f.page(t, "/jobs?state=failed&owner=ana%40example.com&limit=2")
	rows := p.id(t, "jobs").all("tr")[1:]
	says(t, rows[0], "render-7", "FAILED", "attempt 2", "OOM", "ana@example.com", "studio", "2026-11-21 10:00:02 UTC")
	says(t, rows[1], "render-8", "not known")
	if link := rows[0].all("a")[0].attr("href"); link != "/jobs/render-7" {
		t.Errorf("a job leads to %s", link)
	}
	next := p.id(t, "next").attr("href")
	f.page(t, next)
	want := asked{search.Filter{State: "FAILED", Owner: "ana@example.com"}, f.jobs.Next, 2}
	if diff := cmp.Diff(want, f.asked[1]); diff != "" {
		t.Errorf("the next page %s asks for (-want +got):\n%s", next, diff)
	}
	if w := f.get(everybody(), strings.Replace(next, "FAILED", "RUNNING", 1)); w.Code != http.StatusBadRequest {
		t.Errorf("the cursor of another search: status %d", w.Code)
	}
	if selected := slices.ContainsFunc(p.id(t, "state").all("option"), func(o *node) bool {
		_, on := attribute(o.Node, "selected")
		return on && o.text() == "FAILED"
	}); !selected {
		t.Error("the form forgets the state")
	}
}

func TestJobs_Asks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.page(t, "/jobs?owner=ana&state=RUNNING&stage=backend&cause=oom&tenant=studio&from=2026-11-21&to=2026-11-22T10:30&limit=7")
	want := asked{search.Filter{
		Owner: "ana", State: "RUNNING", Stage: "backend", Cause: "OOM", Tenants: []string{"studio"},
		From: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC),
	}, nil, 7}
	if diff := cmp.Diff(want, f.asked[0]); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	f.page(t, "/jobs?job_id=+render+")
	if diff := cmp.Diff(asked{search.Filter{Prefix: "render"}, nil, 50}, f.asked[1]); diff != "" {
		t.Errorf("asked for an id (-want +got):\n%s", diff)
	}
}

func TestJobs_Tenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.get(everybody(), "/jobs")
	f.get(ana(), "/jobs")
	f.get(ana(), "/jobs?tenant=other")
	f.get(ana(), "/jobs?tenant=studio")
	f.get(everybody(), "/jobs?tenant=other")
	want := [][]string{nil, {"studio"}, {}, {"studio"}, {"other"}}
	for i, tenants := range want {
		if diff := cmp.Diff(tenants, f.asked[i].Filter.Tenants); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestJobs_Empty(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for target, want := range map[string]string{
		"/jobs": "There are no jobs yet", "/jobs?job_id=x": "No job matches",
	} {
		says(t, f.page(t, target).id(t, "none"), want)
	}
}

func TestJobs_Refuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, query := range []string{
		"state=LOST", "cause=BAD", "from=yesterday", "to=0", "from=2026-11-22&to=2026-11-21", "job_id=a&from=2026-11-21", "limit=0", "limit=201", "limit=x",
		"owner=a&owner=b", "stat=FAILED", "owner=" + strings.Repeat("x", 300), "owner=%ff", "owner=%00", "cursor=forged", "cursor=" + strings.Repeat("x", 2000), "a=%zz",
	} {
		w := f.get(everybody(), "/jobs?"+query)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%s: status %d:\n%s", query, w.Code, w.Body)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("the store was asked: %+v", f.asked)
	}
	f.err = resilience.Permanent(fmt.Errorf("search jobs: %w", search.ErrFilter))
	if w := f.get(everybody(), "/jobs?job_id=a%20b"); w.Code != http.StatusBadRequest {
		t.Errorf("a search that cannot be made: status %d", w.Code)
	}
	f.err = resilience.Dependency("firestore", errors.New("it does not answer"))
	if w := f.get(everybody(), "/jobs"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "Try again") {
		t.Errorf("without a store: status %d", w.Code)
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.ledger = web.Ledger{From: at(0), To: at(3600), Rows: []web.LedgerRow{
		{Stage: "backend", Count: 40, P50: time.Second, P95: 2 * time.Second, P99: 3 * time.Second, Before: 2 * time.Second},
		{Stage: "face-detection", Phase: "detect", Count: 12, Failed: 1, P50: 20 * time.Second, P95: 50 * time.Second, P99: time.Minute,
			Before: 10 * time.Second, Slow: true, Why: "p95 is 5 times what it was"},
	}}
	p := f.page(t, "/ledger?window=6h")
	if f.window != 6*time.Hour || p.id(t, "slow").attr("data-slow") != "1" {
		t.Errorf("window %s, %s slow", f.window, p.id(t, "slow").attr("data-slow"))
	}
	rows := p.id(t, "ledger").all("tr")[1:]
	says(t, rows[0], "backend", "whole stage", "40", "1s", "2s", "3s")
	says(t, rows[1], "face-detection", "detect", "20s", "50s", "1m", "slow", "p95 is 5 times what it was")
	if !rows[1].has("slow") || rows[0].has("slow") {
		t.Error("the slow one is not marked, or both are")
	}
	if width := rows[1].all("rect")[1].attr("x"); width != "20.00%" {
		t.Errorf("what was before is drawn at %s", width)
	}
	if w := f.get(everybody(), "/ledger?window=2m"); w.Code != http.StatusBadRequest {
		t.Errorf("a window that is not kept: status %d", w.Code)
	}
	for n := range 200 {
		f.ledger.Rows = append(f.ledger.Rows, web.LedgerRow{Stage: "kubernetes", Phase: fmt.Sprint("epoch-", n), Count: 1, Slow: n == 150})
	}
	p = f.page(t, "/ledger")
	if seen, rest := len(p.id(t, "ledger").all("tr"))-1, len(p.id(t, "more").all("tr"))-1; seen != 61 || rest != 141 {
		t.Errorf("%d rows seen, %d folded away", seen, rest)
	}
	says(t, p.id(t, "ledger"), "epoch-150")
	if strings.Contains(p.text(), "of a part") {
		t.Error("a whole report says that it is one of a part")
	}
	f.ledger.Partial = true
	says(t, f.page(t, "/ledger").id(t, "partial"), "of a part")
	f.ledger = web.Ledger{}
	says(t, f.page(t, "/ledger").id(t, "slow"), "No phase ended in this window")
}

func TestNew_RefusesAnAddressThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"letters", "javascript:alert(1)", "https://", "ftp://a", "https://a?b", "https://a#b", ":", "https://%"} {
		if u, err := web.CheckLettersURL(text); err == nil {
			t.Errorf("%q was taken as %v", text, u)
		}
	}
	f := newFixture(t)
	if w := f.get(everybody(), "/"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/jobs" {
		t.Errorf("/: status %d to %s", w.Code, w.Header().Get("Location"))
	}
}

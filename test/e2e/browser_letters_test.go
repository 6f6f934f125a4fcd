//go:build integration

package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/envision/resiliency/test/browser"
)

// pictures is where the tests of pages leave what they have seen.
func pictures(name string) string { return filepath.Join(root, ".run", "test", "pages", name) }

// The pages of dlq-handler as operators use them: from the list over the dry run
// to jobs that are right, without a mouse, on a phone, with hostile texts.
//
//nolint:paralleltest,tparallel // each part changes what the next one sees
func TestPagesOfDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "pages", updater)
	pages := s.startHandler("AUTO_REPLAY_DEPENDENCIES=none").URL()
	told := s.storeStories()
	b := browser.Start(t)
	poster := b.Open(t, browser.View{Width: 1200, Height: 1040})
	poster.Visit(pages + "/letters?state=ANY&limit=7")
	poster.PictureOfView(pictures("poster.png")) // docs/images/dlq-letters.png
	hostile := s.buryHostile()
	t.Run("look", func(t *testing.T) { lookAtPages(t, b, pages, hostile) })
	// What follows changes what there is to see.
	t.Run("replay_by_filter", func(t *testing.T) { s.replayByFilter(t, b, pages, told) })
	t.Run("replay_by_keyboard", func(t *testing.T) { s.replayByKeyboard(t, b, pages, told) })
	t.Run("discard", func(t *testing.T) { discard(t, b, pages) })
	t.Run("without_script", func(t *testing.T) { withoutScript(t, b, pages, told) })
	t.Run("refused", func(t *testing.T) { refusals(t, b, pages) })
}

// replayByFilter: list, filter, open, back, dry run, replay, progress, and the
// jobs have the state that died on its way.
//
//nolint:thelper // a part of the test
func (s *system) replayByFilter(t *testing.T, b *browser.Browser, pages string, told stories) {
	p := b.Open(t, browser.Desktop())
	p.Visit(pages)
	p.Choose("#category", "retryable")
	p.Follow("#search")
	if rows := p.Count("#letters tbody tr"); rows != len(told.contended) {
		t.Fatalf("%d letters died of contention, the list has %d", len(told.contended), rows)
	}
	p.Follow(`#letters tbody tr:first-child a[href^="/letters/"]`)
	if state := p.Attribute("#state", "data-state"); state != "OPEN" {
		t.Errorf("the letter is %s", state)
	}
	if text := p.Text("#decoded"); !strings.Contains(text, told.contended[0]) {
		t.Errorf("the decoded view does not name job %s:\n%s", told.contended[0], text)
	}
	p.Visit(pages + "/letters?category=retryable")
	p.Follow("#replay-these")
	if matched := p.Attribute("#dry-run", "data-matched"); matched != "4" {
		t.Errorf("the dry run chooses %s letters", matched)
	}
	p.Fill("#rate", "2")
	p.Follow("#dry-run-again")
	if text := p.Text("#dry-run"); !strings.Contains(text, "2 a second") || !strings.Contains(text, "nothing has been sent") {
		t.Errorf("the dry run says: %s", text)
	}
	if state := s.document(told.contended[0]); state != nil {
		t.Errorf("a dry run made a record: %v", state)
	}
	p.Fill("#reason", "the contention is over")
	p.Follow("#start")
	// The page follows the operation by itself.
	p.Await(`#progress[data-state="DONE"]`)
	if sent := p.Text("#replayed"); sent != "4" {
		t.Errorf("%s letters were sent", sent)
	}
	p.Picture(pictures("replay-done.png"))
	for _, id := range told.contended {
		s.awaitState(id, "RUNNING")
	}
	p.Visit(pages + "/letters?category=retryable")
	if text := p.Text("#none"); text == "" || p.Count("#letters") != 0 {
		t.Errorf("the list still has letters: %q", text)
	}
	p.Visit(pages + "/audit")
	if text := p.Text("#audit"); !strings.Contains(text, "the contention is over") {
		t.Errorf("the audit log does not tell why:\n%s", text)
	}
}

// replayByKeyboard replays one letter without a mouse, and once more, which is
// harmless and says so.
//
//nolint:thelper // a part of the test
func (s *system) replayByKeyboard(t *testing.T, b *browser.Browser, pages string, told stories) {
	p := b.Open(t, browser.Desktop().InDark())
	p.Visit(pages + "/letters")
	p.Tab(".skip")
	p.Tab("#category")
	p.Tab("#job_id")
	p.Type(told.lost)
	p.Enter()
	p.Tab(`#letters a[href^="/letters/"]`)
	p.Enter()
	p.Tab("#replay-reason")
	p.Type("Firestore is back")
	p.Tab("#replay")
	p.Enter()
	if result := p.Attribute("#notice", "data-result"); result != "replayed" {
		t.Errorf("the page says %q: %s", result, p.Text("#notice"))
	}
	if state := p.Attribute("#state", "data-state"); state != "REPLAYED" {
		t.Errorf("the letter is %s", state)
	}
	s.awaitState(told.lost, "SUCCEEDED")
	if p.Count("#replay") != 0 {
		t.Error("the page offers to replay a letter that was replayed")
	}
	// Somebody whose page is old.
	letter := strings.TrimPrefix(browser.Eval[string](p, "location.pathname"), "/letters/")
	browser.Eval[bool](p, `document.body.insertAdjacentHTML("beforeend",
		'<form method="post" action="/letters/`+letter+`/replay"><button id="again">again</button></form>') ?? true`)
	p.Follow("#again")
	if result := p.Attribute("#notice", "data-result"); result != "already_replayed" {
		t.Errorf("a second replay says %q: %s", result, p.Text("#notice"))
	}
	p.Picture(pictures("letter-replayed.png"))
}

func discard(t *testing.T, b *browser.Browser, pages string) {
	t.Helper()
	p := b.Open(t, browser.Phone())
	p.Visit(pages + "/letters?category=permanent&job_id=" + jobUnreadable)
	p.Follow(`#letters a[href^="/letters/"]`)
	p.Click("#discard")
	if !p.Is("#discard-reason", "!el.validity.valid") || p.Count("#notice") != 0 {
		t.Error("a letter can be discarded without a reason")
	}
	p.Fill("#discard-reason", "it was sent by a test of the backend")
	p.Follow("#discard")
	if state := p.Attribute("#state", "data-state"); state != "DISCARDED" {
		t.Errorf("the letter is %s", state)
	}
}

// withoutScript: the pages need none.
func withoutScript(t *testing.T, b *browser.Browser, pages string, told stories) {
	t.Helper()
	v := browser.Desktop()
	v.NoScript = true
	p := b.Open(t, v)
	p.Visit(pages + "/replays/new?job_id=" + told.finished)
	p.Fill("#reason", "without script")
	p.Follow("#start")
	// The browser loads the page again by itself.
	p.Await(`#progress[data-state="DONE"]`)
}

// refusals are plain pages too.
func refusals(t *testing.T, b *browser.Browser, pages string) {
	t.Helper()
	p := b.Open(t, browser.Phone())
	for path, want := range map[string]int{
		"/letters/none":          http.StatusNotFound,
		"/letters?state=LOST":    http.StatusBadRequest,
		"/letters?cursor=forged": http.StatusBadRequest,
		"/nothing":               http.StatusNotFound,
	} {
		if status := p.Visit(pages + path); status != want || p.Text("#error") == "" {
			t.Errorf("%s: status %d: %s", path, status, p.Text("#error"))
		}
	}
	for _, text := range p.Complaints() {
		if !strings.Contains(text, "404") && !strings.Contains(text, "400") { // the browser's own words for the status
			t.Errorf("a page of an error complained: %s", text)
		}
	}
}

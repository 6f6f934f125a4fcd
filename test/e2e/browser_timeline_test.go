//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/test/browser"
	"github.com/envision/resiliency/test/stack"
)

// barriersEngine is the accessibility check, as tools/build.sh leaves it.
func barriersEngine() string { return filepath.Join(root, ".tools", "bin", "axe.min.js") }

// The pages of phase-tracer as developers use them: search, open, read what failed
// and why, follow a job to its end; by keyboard, on a phone, in the dark, without
// script, and with hostile texts.
//
//nolint:paralleltest,tparallel // what follows a job in time must not wait for the check of all pages
func TestPagesOfTimelines(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "timelines", updater, streamer)
	pages := s.startTracer("LETTERS_URL=https://letters.example.com").URL()
	s.tellTimelines()
	b := browser.Start(t)
	t.Run("poster", func(t *testing.T) {
		poster := b.Open(t, browser.View{Width: 1200, Height: 1240})
		poster.Visit(pages + "/jobs/" + jobFailed)
		poster.PictureOfView(pictures("timeline-poster.png")) // docs/images/timeline.png
	})
	t.Run("read", func(t *testing.T) { readsWhatFailed(t, b, pages) })
	t.Run("keyboard", func(t *testing.T) { searchesByKeyboard(t, b, pages) })
	t.Run("follow", func(t *testing.T) { s.follows(t, b, pages) })
	t.Run("hidden", func(t *testing.T) { s.isHidden(t, b, pages) })
	t.Run("look", func(t *testing.T) { looksAtTimelines(t, b, pages) })
}

// readsWhatFailed searches for a job, opens it, and reads where and why it failed.
func readsWhatFailed(t *testing.T, b *browser.Browser, pages string) {
	t.Helper()
	p := b.Open(t, browser.Desktop())
	p.Visit(pages)
	p.Fill("#owner", "ana@example.com")
	p.Choose("#state", "FAILED")
	p.Follow("#search")
	if rows := p.Count("#jobs tbody tr"); rows != 1 {
		t.Fatalf("the search finds %d jobs", rows)
	}
	p.Follow(`#jobs a[href="/jobs/` + jobFailed + `"]`)
	for selector, want := range map[string]string{
		"#state": "FAILED", "#known": "out of memory", "#stop-phase": "render", "#stop-cause": "exit code 137",
		"#capsules": "allocate 512 MiB for frame 1812", "#updates": "FAILED", "#next": "final",
	} {
		if text := p.Text(selector); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", selector, want, text)
		}
	}
	// From the bar to its row in the table.
	p.Click(".row.stop a")
	if !p.Is("tr:target", `el.dataset.phase === "render" && el.dataset.state === "failed" && el.getBoundingClientRect().top < innerHeight`) {
		t.Error("the bar of the failed phase does not lead to it")
	}
	if bars := p.Count(".lane .bar"); bars != 9 {
		t.Errorf("%d bars", bars)
	}
	p.Visit(pages + "/jobs/" + jobLong)
	if shown := browser.Eval[int](p, `[...document.querySelectorAll(".row")].filter(el => el.checkVisibility()).length`); shown > 40 {
		t.Errorf("%d rows of a long job at once", shown)
	}
	p.Click(".lane summary")
	if shown := browser.Eval[int](p, `[...document.querySelectorAll(".row")].filter(el => el.checkVisibility()).length`); shown < longPhases {
		t.Errorf("unfolded, it shows %d rows", shown)
	}
	p.Click(`.row a[href="#phase-250"]`)
	if !p.Is("tr:target", "el.checkVisibility()") {
		t.Error("the table of a long job does not unfold for a link into it")
	}
}

func searchesByKeyboard(t *testing.T, b *browser.Browser, pages string) {
	t.Helper()
	p := b.Open(t, browser.Desktop().InDark())
	p.Visit(pages + "/jobs")
	p.Tab(".skip")
	p.Tab("#job_id")
	p.Type(jobFailed[:8])
	p.Enter()
	p.Tab(`#jobs a[href="/jobs/` + jobFailed + `"]`)
	p.Enter()
	p.Tab("#stop-phase a")
	p.Tab(".row.stop a")
	p.Tab("#capsules pre")
	p.Tab("#capsules summary")
}

// follows looks at jobs while they run, with and without script.
//
//nolint:thelper // a part of the test
func (s *system) follows(t *testing.T, b *browser.Browser, pages string) {
	p := b.Open(t, browser.Desktop())
	s.opensRunning(t, p, pages, "live-", 8*time.Second)
	browser.Eval[bool](p, `window.stays = true`)
	p.Await(`#job[data-state="SUCCEEDED"]`)
	p.Until("the end to be announced", func() bool {
		return strings.Contains(p.Text("#followed"), "SUCCEEDED") && strings.Contains(p.Text("#state"), "SUCCEEDED")
	})
	p.Until("what came after the end", func() bool { return p.Count(`#updates tr[data-kind="succeeded"]`) == 1 })
	if !browser.Eval[bool](p, `window.stays === true`) {
		t.Error("the page was loaded again instead")
	}
	p.Picture(pictures("timeline-followed.png"))

	plain := browser.Phone()
	plain.NoScript = true
	p = b.Open(t, plain)
	const other = "live-2"
	s.pipeline(other, stack.JobSpec{After: 4 * time.Second})
	s.awaitState(other, "RUNNING")
	p.Visit(pages + "/jobs/" + other)
	s.awaitState(other, "SUCCEEDED")
	p.Follow("#refresh")
	if text := p.Text("#state"); !strings.Contains(text, "SUCCEEDED") {
		t.Errorf("looked at again without script, the job is %s", text)
	}
}

// looksAtTimelines visits every page in light and dark, wide and narrow.
func looksAtTimelines(t *testing.T, b *browser.Browser, pages string) {
	t.Helper()
	// Both colours and both layouts are searched for barriers, each once: it takes
	// longer than all else.
	searched := []string{"light", "phone-dark"}
	views := map[string]browser.View{
		"light": browser.Desktop(), "dark": browser.Desktop().InDark(), "phone": browser.Phone(), "phone-dark": browser.Phone().InDark(),
	}
	paths := map[string]string{
		"timeline-jobs": "/jobs", "timeline-none": "/jobs?job_id=none", "timeline-failed": "/jobs/" + jobFailed, "timeline-long": "/jobs/" + jobLong,
		"timeline-hostile": "/jobs/" + jobOddTexts, "timeline-ledger": "/ledger", "timeline-missing": "/jobs/nothing",
		"timeline-refused": "/jobs?state=" + strings.Repeat("W", 200),
	}
	for view, v := range views {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			p := b.Open(t, v)
			for name, path := range paths {
				looksAt(t, p, pages+path, pictures(name+"-"+view+".png"))
				if slices.Contains(searched, view) {
					for _, text := range p.Barriers(barriersEngine()) {
						t.Errorf("%s: %s", path, text)
					}
				}
			}
			for _, text := range p.Complaints() {
				if !strings.Contains(text, "400") && !strings.Contains(text, "404") { // the browser's own words for the status
					t.Errorf("a page complained: %s", text)
				}
			}
		})
	}
}

func looksAt(t *testing.T, p *browser.Page, address, picture string) {
	t.Helper()
	if status := p.Visit(address); status >= http.StatusInternalServerError {
		t.Errorf("%s: status %d", address, status)
	}
	p.Picture(picture)
	if pixels, by := p.Overflow(); pixels > 0 {
		t.Errorf("%s is %d pixels wider than its view, by %q", address, pixels, by)
	}
	for _, text := range p.Faint() {
		t.Errorf("%s: %s", address, text)
	}
	if title := browser.Eval[string](p, "document.title"); strings.Contains(title, "owned") {
		t.Errorf("%s: a text was carried out: the title is %q", address, title)
	}
	for selector, what := range map[string]string{
		"main script, main img, main iframe, main [onload], main [onerror], main [style]": "elements that no page of ours has",
		`a[href^="javascript:"]`: "links that are code",
	} {
		if n := p.Count(selector); n > 0 {
			t.Errorf("%s: %s", address, fmt.Sprint(n, " ", what))
		}
	}
}

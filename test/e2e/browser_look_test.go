//go:build integration

package e2e

import (
	"strings"
	"testing"

	"github.com/envision/resiliency/test/browser"
)

// lookAtPages visits every page in light and dark, wide and narrow.
func lookAtPages(t *testing.T, b *browser.Browser, pages, hostile string) {
	t.Helper()
	sharp := browser.Desktop()
	sharp.Scale = 1.5
	views := map[string]browser.View{
		"light": sharp, "dark": browser.Desktop().InDark(),
		"phone": browser.Phone(), "phone-dark": browser.Phone().InDark(),
	}
	paths := map[string]string{
		"letters": "/letters", "all": "/letters?state=ANY&limit=5", "nothing": "/letters?job_id=none",
		"hostile": "/letters/" + hostile, "preview": "/replays/new?category=dependency", "everything": "/replays/new",
		"operations": "/operations", "audit": "/audit", "refused": "/letters?state=" + strings.Repeat("W", 200),
	}
	for view, v := range views {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			p := b.Open(t, v)
			for name, path := range paths {
				p.Visit(pages + path)
				p.Picture(pictures(name + "-" + view + ".png"))
				if pixels, by := p.Overflow(); pixels > 0 {
					t.Errorf("%s is %d pixels wider than its view, by %q", path, pixels, by)
				}
				for _, text := range p.Faint() {
					t.Errorf("%s: too little contrast: %s", path, text)
				}
				if view == "light" || view == "phone-dark" { // both colours and both layouts, each once: it takes long
					for _, text := range p.Barriers(barriersEngine()) {
						t.Errorf("%s: %s", path, text)
					}
				}
				expectInert(t, p, path)
			}
			for _, text := range p.Complaints() {
				if !strings.Contains(text, "400") { // the browser's own word for the page that is refused
					t.Errorf("a page complained: %s", text)
				}
			}
		})
	}
	t.Run("texts", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t, browser.Desktop())
		p.Visit(pages + "/letters/" + hostile)
		shown := p.Text("main")
		for _, want := range []string{`<script>document.title = "owned"</script>`, `onerror=`, `\u202etxt.elif`, `{{.Data}} ${7*7} </pre>`} {
			if !strings.Contains(shown, want) {
				t.Errorf("the page does not show %q as it is", want)
			}
		}
	})
}

// expectInert: nothing that a letter says became a part of the page.
func expectInert(t *testing.T, p *browser.Page, path string) {
	t.Helper()
	if title := browser.Eval[string](p, "document.title"); strings.Contains(title, "owned") {
		t.Errorf("%s: a text was carried out: the title is %q", path, title)
	}
	if n := p.Count("main script, main img, main svg, main iframe, main [onload], main [onerror], main [style]"); n > 0 {
		t.Errorf("%s: %d elements that no page of ours has", path, n)
	}
	if n := p.Count(`a[href^="javascript:"]`); n > 0 {
		t.Errorf("%s: %d links that are code", path, n)
	}
	if n := p.Count("input:not([type=hidden]):not([id]), select:not([id]), main:not(#main), html:not([lang])"); n > 0 {
		t.Errorf("%s: %d elements without what people without eyes need", path, n)
	}
	unlabelled := browser.Eval[[]string](p, `[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
		.filter(el => el.labels.length === 0).map(el => el.id)`)
	if len(unlabelled) > 0 {
		t.Errorf("%s: fields without a label: %q", path, unlabelled)
	}
}

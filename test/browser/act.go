package browser

import (
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Click clicks the one element that a CSS selector finds.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Follow clicks what leads to another page, waits until that is there, and
// returns its HTTP status.
func (p *Page) Follow(selector string) int {
	p.t.Helper()
	return p.leave("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Enter presses Enter where the focus is, waits for the page that follows, and
// returns its HTTP status.
func (p *Page) Enter() int {
	p.t.Helper()
	return p.leave("press Enter", chromedp.KeyEvent(kb.Enter))
}

// Fill puts text into a field, in place of what is there.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.do("fill "+selector, chromedp.Focus(chromedp.CSS(selector)),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", selector)),
		chromedp.KeyEvent(kb.Delete+text))
}

// Choose takes an option of a list by its value.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	p.do("choose in "+selector, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Tab presses the tabulator until the element has the focus, as somebody without
// a mouse does, and fails the test if the focus does not come there or cannot be seen.
func (p *Page) Tab(selector string) {
	p.t.Helper()
	const most = 200
	for range most {
		p.do("press Tab", chromedp.KeyEvent(kb.Tab))
		if p.Is(selector, "el === document.activeElement") {
			if !p.Is(selector, `getComputedStyle(el).outlineStyle !== "none" && parseFloat(getComputedStyle(el).outlineWidth) > 0`) {
				p.t.Errorf("%s has the focus, but that cannot be seen", selector)
			}
			return
		}
	}
	p.t.Fatalf("%s cannot be reached by Tab\n%s", selector, p.where())
}

// Type types text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.do("type", chromedp.KeyEvent(text))
}

// Text is what an element shows.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return get(p, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Attribute is an attribute of an element, "" if it has none.
func (p *Page) Attribute(selector, name string) string {
	p.t.Helper()
	return Eval[string](p, fmt.Sprintf("document.querySelector(%q).getAttribute(%q) ?? ''", selector, name))
}

// Count is how many elements a selector finds now.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return Eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// Is evaluates a condition on an element, el; false if there is none.
func (p *Page) Is(selector, condition string) bool {
	p.t.Helper()
	return Eval[bool](p, fmt.Sprintf("(el => el !== null && (%s))(document.querySelector(%q))", condition, selector))
}

// Await waits until there is such an element.
func (p *Page) Await(selector string) {
	p.t.Helper()
	p.do("wait for "+selector, chromedp.WaitReady(chromedp.CSS(selector)))
}

// Until asks again until a condition holds.
func (p *Page) Until(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s did not come\n%s", what, p.where())
		}
		p.do("look again", chromedp.Sleep(pause))
	}
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
}

// pause is the time between two looks.
const pause = 200 * time.Millisecond

// Eval returns the value of an expression on the page.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return get(p, "evaluate "+expression, chromedp.Evaluate[T](expression))
}

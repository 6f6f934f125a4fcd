package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// View is what a page is looked at with.
type View struct {
	// Width and Height are in CSS pixels.
	Width, Height int64
	// Dark asks for the dark colours.
	Dark bool
	// Scale is how many pixels of a picture a CSS pixel makes; 0 is one.
	Scale float64
	// NoScript switches JavaScript off.
	NoScript bool
}

// Desktop and Phone are the usual views; 360 pixels is the narrowest phone in use.
func Desktop() View { return View{Width: 1280, Height: 800} }

// Phone is the view of a small phone.
func Phone() View { return View{Width: 360, Height: 740} }

// InDark is the view in dark colours.
func (v View) InDark() View { v.Dark = true; return v }

// Page is one tab. Its methods fail the test when they cannot do what they say.
type Page struct {
	t    testing.TB
	ctx  context.Context // chromedp keeps its connection in it
	seen *complaints
}

// Open opens an empty tab with cookies and a cache of its own. It is closed with
// the test, and what it complained about fails the test, unless Complaints took it.
func (b *Browser) Open(t testing.TB, v View) *Page {
	t.Helper()
	p := &Page{t: t, seen: &complaints{}}
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.seen.listen))
	p.ctx = ctx
	t.Cleanup(closeTab)
	// Not within the time of a step: the tab would end with it.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(v.Width, v.Height, chromedp.EmulateScale(max(v.Scale, 1))), v.prepare()); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	t.Cleanup(func() {
		for _, text := range p.Complaints() {
			t.Errorf("a page complained: %s", text)
		}
	})
	return p
}

// prepare makes a tab look as the view says, and report what breaks its policy.
func (v View) prepare() chromedp.Action[chromedp.Void] {
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, mediaErr := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
		_, scriptErr := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: v.NoScript})
		_, auditErr := cdp.Call(ctx, t, audits.Enable, cdp.Empty{})
		return errors.Join(mediaErr, scriptErr, auditErr)
	})
}

// get runs an action as one step, in the time that one may take.
func get[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.where())
	}
	return value
}

// do runs actions as one step.
func (p *Page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	get(p, what, chromedp.Steps(actions...))
}

// leave does what leads to another document, waits until that has loaded, and
// returns its HTTP status.
func (p *Page) leave(what string, action chromedp.Action[chromedp.Void]) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.where())
	}
	return int(response.Status)
}

// where says what the page shows, for a failure.
func (p *Page) where() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience/10)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + " shows:\n" + (document.body?.innerText ?? "")`))
	if err != nil {
		return fmt.Sprintf("(what the page shows cannot be told: %v)", err)
	}
	const most = 1500
	return fmt.Sprintf("the page at %s\nand complained: %q", text[:min(len(text), most)], p.seen.all())
}

// Visit goes to an address, waits until the page is there, and returns its HTTP
// status.
func (p *Page) Visit(address string) int {
	p.t.Helper()
	return p.leave("go to "+address, chromedp.Navigate(address))
}

// Picture writes a PNG of the whole page to a file, its folder included.
func (p *Page) Picture(path string) {
	p.t.Helper()
	p.write(path, get(p, "take a picture", chromedp.FullScreenshot(100)))
}

// PictureOfView writes a PNG of what is in view.
func (p *Page) PictureOfView(path string) {
	p.t.Helper()
	p.write(path, get(p, "take a picture", chromedp.CaptureScreenshot()))
}

func (p *Page) write(path string, png []byte) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatalf("folder of a picture: %v", err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		p.t.Fatalf("write a picture: %v", err)
	}
}

// Complaints returns what the page has complained about so far, and forgets it:
// errors on the console, exceptions, refusals by the content security policy,
// requests that failed.
func (p *Page) Complaints() []string {
	// Messages of the browser come in order, so after an answer all that was said
	// before is there. A tab that is gone says nothing more.
	ctx, cancel := context.WithTimeout(p.ctx, patience/10)
	defer cancel()
	_, _ = chromedp.Run(ctx, chromedp.Evaluate[bool](`true`))
	return p.seen.take()
}

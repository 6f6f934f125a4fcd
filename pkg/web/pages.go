package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/envision/resiliency/pkg/authn"
)

// Link is an entry of the navigation.
type Link struct{ Path, Text string }

// Pages renders the pages of one service in the shared layout.
type Pages struct {
	product string
	nav     []Link
	set     map[string]*template.Template
}

// View is what a template gets.
type View struct {
	// Product is the service's name for people, Title the page's.
	Product, Title string
	Nav            []Link
	// Path is that of the request, to mark where one is.
	Path string
	// Caller is who looks at the page; the zero value when nobody is known.
	Caller    authn.Identity
	RequestID string
	// Data is the page's own.
	Data any
}

// NewPages parses every *.html at the top of files as a page: it defines
// "content" and may define "head". Files that begin with "_" hold parts that all
// pages can use; go:embed takes them only by pattern, not with their folder.
func NewPages(product string, nav []Link, assets *Assets, files fs.FS) (*Pages, error) {
	layout, err := template.New("layout").Funcs(funcs(assets)).ParseFS(embedded, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	parts, err := fs.Glob(files, "_*.html")
	if err != nil {
		return nil, fmt.Errorf("find parts of pages: %w", err)
	}
	if len(parts) > 0 {
		if layout, err = layout.ParseFS(files, parts...); err != nil {
			return nil, fmt.Errorf("parse parts of pages: %w", err)
		}
	}
	p := &Pages{product: product, nav: nav, set: map[string]*template.Template{}}
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, fmt.Errorf("find pages: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		p.set[strings.TrimSuffix(name, path.Ext(name))] = page
	}
	failure, err := layout.Clone()
	if err == nil {
		failure, err = failure.AddParseTree("content", failure.Lookup("error.html").Tree)
	}
	if err != nil {
		return nil, fmt.Errorf("parse the error page: %w", err)
	}
	p.set["error"] = failure
	return p, nil
}

// Render answers with a page. The error means that nothing has been sent.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) error {
	page, ok := p.set[name]
	if !ok {
		return fmt.Errorf("render page %s: there is no such page", name)
	}
	caller, _ := authn.FromContext(r.Context())
	var body bytes.Buffer
	err := page.ExecuteTemplate(&body, "layout.html", View{
		Product: p.product, Title: title, Nav: p.nav, Path: r.URL.Path,
		Caller: caller, RequestID: RequestID(r.Context()), Data: data,
	})
	if err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client may be gone
	return nil
}

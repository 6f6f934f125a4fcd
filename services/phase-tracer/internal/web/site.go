package web

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	shared "github.com/envision/resiliency/pkg/web"
)

// Parts are what a Site is made of. All but LettersURL are required.
type Parts struct {
	Jobs   Jobs
	Finder Finder
	Ledger LedgerReader
	// LettersURL is where dlq-handler's pages are, "" when nobody said.
	LettersURL string
	Now        func() time.Time
	Log        zerolog.Logger
}

// Site renders the pages.
type Site struct {
	// Errors answers with errors, as JSON below /api; Assets are the static files.
	// Both are for the router that Routes is added to.
	Errors *shared.Errors
	Assets *shared.Assets

	parts   Parts
	pages   *shared.Pages
	letters *url.URL
}

//go:embed templates/*.html templates/_*.html
var templates embed.FS

//go:embed static/*
var static embed.FS

// New returns the pages. The error tells what is wrong with the configuration.
func New(p Parts) (*Site, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	s := &Site{parts: p}
	if s.Assets, err = shared.NewAssets(files); err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	if files, err = fs.Sub(templates, "templates"); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	nav := []shared.Link{{Path: "/jobs", Text: "Jobs"}, {Path: "/ledger", Text: "Durations"}}
	if s.pages, err = shared.NewPages("Job timelines", nav, s.Assets, files); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if s.letters, err = CheckLettersURL(p.LettersURL); err != nil {
		return nil, err
	}
	s.Errors = shared.NewErrors(s.pages, p.Log)
	return s, nil
}

// CheckLettersURL reads the address of dlq-handler's pages; nil when it is empty.
func CheckLettersURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no address is a valid setting
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("address of dlq-handler's pages: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("address of dlq-handler's pages: " + text + " is not one such as https://letters.example.com")
	}
	return u, nil
}

// Routes adds the pages to a router, behind its authentication.
func (s *Site) Routes(r chi.Router) {
	r.Handle("/", http.RedirectHandler("/jobs", http.StatusSeeOther))
	r.Get("/jobs", s.Errors.Handle(s.pageJobs))
	r.Get("/jobs/{id}", s.Errors.Handle(s.pageJob))
	r.Get("/ledger", s.Errors.Handle(s.pageLedger))
}

package web

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// Store is where letters, operations and the audit log are kept. Its errors wrap
// those of package letters.
type Store interface {
	List(ctx context.Context, f letters.Filter, after *letters.Cursor, limit int) (letters.Page, error)
	Count(ctx context.Context, f letters.Filter) (int64, error)
	Get(ctx context.Context, id string) (letters.Letter, error)
	Discard(ctx context.Context, id, by, reason string) (letters.Letter, error)
	GetOperation(ctx context.Context, id string) (letters.Operation, error)
	ListOperations(ctx context.Context, after *letters.Cursor, limit int) (letters.OperationPage, error)
	CancelOperation(ctx context.Context, id, by, reason string) (letters.Operation, error)
	ListAudit(ctx context.Context, f letters.AuditFilter, after *letters.Cursor, limit int) (letters.AuditPage, error)
}

// Replayer sends letters again.
type Replayer interface {
	// Replay sends one letter, unless it was sent before or is being sent.
	Replay(ctx context.Context, id, by, reason string) (letters.ReplayResult, error)
	// Preview says what Start would do.
	Preview(ctx context.Context, r letters.ReplayRequest) (letters.Preview, error)
	// Start begins an operation that goes on in the background.
	Start(ctx context.Context, r letters.ReplayRequest) (letters.Operation, error)
	// Payload opens a letter's payload, wherever it is kept, and tells its size.
	Payload(ctx context.Context, l *letters.Letter) (content io.ReadCloser, size int64, err error)
}

// Parts are what a Site is made of. All are required.
type Parts struct {
	Auth     authn.Config
	HTTP     shared.Config
	Store    Store
	Replayer Replayer
	// DefaultRate and MaxRate bound the letters a second of a replay by filter.
	DefaultRate, MaxRate float64
	Registerer           prometheus.Registerer
	Now                  func() time.Time
	Log                  zerolog.Logger
}

// Site answers requests.
type Site struct {
	// Handler serves everything.
	Handler http.Handler
	// Auth checks the listener, and tells whether the issuer's keys are there.
	Auth *authn.Authenticator

	parts Parts
	pages *shared.Pages
	errs  *shared.Errors
	// patience is how long who replays a letter waits for its end.
	patience time.Duration
}

// Bounds of what one request may take: the answer must come before the server shuts
// the connection, and whoever gets none presses the button again.
const (
	replayWithin   = shared.WriteTimeout / 2
	downloadWithin = shared.WriteTimeout - 5*time.Second
)

//go:embed templates/*.html
var templates embed.FS

// New returns the site. The error tells what is wrong with the configuration.
func New(p Parts) (*Site, error) {
	assets, err := shared.NewAssets()
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	nav := []shared.Link{{Path: "/letters", Text: "Letters"}, {Path: "/operations", Text: "Replays"}, {Path: "/audit", Text: "Audit"}}
	pages, err := shared.NewPages("Dead letters", nav, assets, files)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	s := &Site{parts: p, pages: pages, errs: shared.NewErrors(pages, p.Log), patience: replayWithin}
	if s.Auth, err = authn.New(p.Auth, s.errs.Refuse, p.Registerer, p.Now, p.Log); err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	limit, err := shared.RateLimit(p.HTTP, s.errs, p.Registerer)
	if err != nil {
		return nil, fmt.Errorf("rate limit: %w", err)
	}
	router := shared.NewRouter(s.errs, assets, p.Registerer, p.Log)
	router.Group(func(r chi.Router) {
		r.Use(s.Auth.Authenticate, limit)
		s.routes(r)
	})
	s.Handler = router
	return s, nil
}

// routes lists every route: each thing as a page and as JSON.
func (s *Site) routes(r chi.Router) {
	r.Handle("/", http.RedirectHandler("/letters", http.StatusSeeOther))
	s.get(r, "/letters", s.pageLetters, s.apiLetters)
	s.get(r, "/letters/{id}", s.pageLetter, s.apiLetter)
	s.get(r, "/letters/{id}/payload", s.download, s.download)
	s.get(r, "/operations", s.pageOperations, s.apiOperations)
	s.get(r, "/operations/{id}", s.pageOperation, s.apiOperation)
	s.get(r, "/audit", s.pageAudit, s.apiAudit)

	operators := r.With(s.Auth.Require(authn.RoleOperator))
	operators.Get("/replays/new", s.errs.Handle(s.pagePreview))
	s.post(operators, "/letters/{id}/replay", s.formReplay, s.apiReplay)
	s.post(operators, "/letters/{id}/discard", s.formDiscard, s.apiDiscard)
	s.post(operators, "/replays", s.formStart, s.apiStart)
	s.post(operators, "/operations/{id}/cancel", s.formCancel, s.apiCancel)
}

type handler = func(w http.ResponseWriter, r *http.Request) error

func (s *Site) get(r chi.Router, path string, page, api handler) {
	r.Get(path, s.errs.Handle(page))
	r.Get("/api"+path, s.errs.Handle(api))
}

func (s *Site) post(r chi.Router, path string, form, api handler) {
	r.Post(path, s.errs.Handle(form))
	r.Post("/api"+path, s.errs.Handle(api))
}
